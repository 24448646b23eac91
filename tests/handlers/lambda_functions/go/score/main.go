package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

type order struct {
	ID    string  `json:"id"`
	Total float64 `json:"total"`
}

func handle(ctx context.Context, event events.EventBridgeEvent) error {
	var placed order
	if err := json.Unmarshal(event.Detail, &placed); err != nil {
		return err
	}
	risk := "low"
	if placed.Total > 1000 {
		risk = "high"
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	entry := types.PutEventsRequestEntry{
		Source:     aws.String("fraud"),
		DetailType: aws.String("order.scored"),
		Detail:     aws.String(fmt.Sprintf(`{"orderId":%q,"risk":%q}`, placed.ID, risk)),
	}
	entries := []types.PutEventsRequestEntry{entry}
	_, err = eventbridge.NewFromConfig(settings).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	return err
}

func main() { lambda.Start(handle) }
