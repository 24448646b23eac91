// Summarizes an order: a function for AWS Lambda.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

type order struct {
	ID    string `json:"orderId"`
	Items []struct {
		Price    float64 `json:"price"`
		Quantity int64   `json:"quantity"`
	} `json:"items"`
	ShipTo []struct {
		Address struct {
			Name struct {
				First string `json:"first"`
				Last  string `json:"last"`
			} `json:"name"`
			Street  string `json:"street1"`
			City    string `json:"city"`
			State   string `json:"state"`
			ZipCode string `json:"zipCode"`
			Country string `json:"country"`
		} `json:"address"`
	} `json:"shipTo"`
}

type event struct {
	Detail order `json:"detail"`
}

type summary struct {
	OrderID    string `json:"orderId"`
	Pieces     int64  `json:"pieces"`
	TotalCents int64  `json:"totalCents"`
	Label      string `json:"label"`
}

// The pieces of an order, its price in cents and the address of its first parcel.
func summarize(o order) (summary, error) {
	if len(o.Items) == 0 || len(o.ShipTo) == 0 {
		return summary{}, fmt.Errorf("order %s has no items", o.ID)
	}
	to := o.ShipTo[0].Address
	label := fmt.Sprintf("%s %s, %s, %s, %s %s, %s",
		to.Name.First, to.Name.Last, to.Street, to.City, to.State, to.ZipCode, to.Country)
	result := summary{OrderID: o.ID, Label: label}
	for _, item := range o.Items {
		result.Pieces += item.Quantity
		result.TotalCents += int64(item.Price*100+0.5) * item.Quantity
	}
	return result, nil
}

func main() {
	settings, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	events := eventbridge.NewFromConfig(settings)
	lambda.Start(func(ctx context.Context, e event) (summary, error) {
		result, err := summarize(e.Detail)
		if err != nil {
			return result, err
		}
		detail, err := json.Marshal(result)
		if err != nil {
			return result, err
		}
		response, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			Source:     aws.String("shop.orders"),
			DetailType: aws.String("order.summarized"),
			Detail:     aws.String(string(detail)),
		}}})
		if err == nil && response.FailedEntryCount > 0 {
			err = errors.New(aws.ToString(response.Entries[0].ErrorMessage))
		}
		return result, err
	})
}
