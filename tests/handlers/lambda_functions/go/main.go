package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

type event struct {
	Do      string                        `json:"do"`
	Total   float64                       `json:"total"`
	Entries []types.PutEventsRequestEntry `json:"entries"`
}

func handle(ctx context.Context, e event) (map[string]float64, error) {
	switch e.Do {
	case "fail":
		return nil, errors.New("no stock")
	case "panic":
		panic("boom")
	case "exit":
		os.Exit(0)
	case "put":
		return nil, put(ctx, e.Entries)
	case "list":
		return nil, list(ctx)
	}
	return map[string]float64{"total": e.Total}, nil
}

func main() { lambda.Start(handle) }
