// Sends the requests of the test with the SDK of AWS and that of CloudEvents, and prints what comes back as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

type entry struct{ Source, DetailType, Detail *string }

func main() {
	var input struct {
		Entries        []entry
		Pattern, Event string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		panic(err)
	}
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	client := eventbridge.NewFromConfig(settings)
	results := map[string]any{}
	record := func(name string, answer any, err error) {
		var failure smithy.APIError
		if errors.As(err, &failure) {
			results[name] = map[string]any{"error": failure.ErrorCode(), "message": failure.ErrorMessage()}
		} else if err != nil {
			results[name] = map[string]any{"error": "other", "message": err.Error()}
		} else {
			results[name] = answer
		}
	}
	put := func(name string, entries []types.PutEventsRequestEntry) {
		answer, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			record(name, nil, err)
			return
		}
		record(name, map[string]any{"FailedEntryCount": answer.FailedEntryCount, "Entries": answer.Entries}, nil)
	}
	entries := []types.PutEventsRequestEntry{}
	for _, each := range input.Entries {
		entries = append(entries, types.PutEventsRequestEntry{Source: each.Source, DetailType: each.DetailType, Detail: each.Detail})
	}
	put("put", entries)
	timed := entries[0]
	timed.Time = aws.Time(time.UnixMilli(1795953600123))
	put("time", []types.PutEventsRequestEntry{timed})
	timed.Time = &time.Time{}
	put("no-date", []types.PutEventsRequestEntry{timed})
	put("empty", []types.PutEventsRequestEntry{})
	many := []types.PutEventsRequestEntry{}
	for range 11 {
		many = append(many, entries[0])
	}
	put("many", many)
	test := func(name string, pattern string) {
		answer, err := client.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: &input.Event})
		if err != nil {
			record(name, nil, err)
			return
		}
		record(name, map[string]any{"Result": answer.Result}, nil)
	}
	test("test", input.Pattern)
	test("bad-pattern", "{}")
	_, err = client.ListRules(ctx, &eventbridge.ListRulesInput{})
	record("other", nil, err)

	sender, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(os.Getenv("AWS_ENDPOINT_URL_EVENTBRIDGE")))
	if err != nil {
		panic(err)
	}
	for _, mode := range []string{"binary", "structured"} {
		event := cloudevents.NewEvent()
		event.SetID("go-" + mode)
		event.SetSource("shop")
		event.SetType("order.created")
		if err := event.SetData(cloudevents.ApplicationJSON, map[string]any{"total": 1.5, "note": "é"}); err != nil {
			panic(err)
		}
		with := cloudevents.WithEncodingBinary(ctx)
		if mode == "structured" {
			with = cloudevents.WithEncodingStructured(ctx)
		}
		results[mode] = cloudevents.IsACK(sender.Send(with, event))
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
