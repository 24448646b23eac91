package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Do    string  `json:"do"`
	Total float64 `json:"total"`
}

func handle(_ context.Context, e event) (map[string]float64, error) {
	switch e.Do {
	case "fail":
		return nil, errors.New("no stock")
	case "panic":
		panic("boom")
	case "exit":
		os.Exit(0)
	}
	return map[string]float64{"total": e.Total}, nil
}

func main() { lambda.Start(handle) }
