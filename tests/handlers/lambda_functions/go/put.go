package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func connect(ctx context.Context) (*eventbridge.Client, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	return eventbridge.NewFromConfig(settings), err
}

func put(ctx context.Context, entries []types.PutEventsRequestEntry) error {
	events, err := connect(ctx)
	if err != nil {
		return err
	}
	response, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return err
	}
	text, err := json.Marshal(response.Entries)
	fmt.Println(string(text))
	return err
}

func list(ctx context.Context) error {
	events, err := connect(ctx)
	if err == nil {
		_, err = events.ListRules(ctx, &eventbridge.ListRulesInput{})
	}
	return err
}
