// Does as stdin says: "enter", or "ring" before it. Prints what became of it, without the external ID.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/countersign/countersign/provider"
)

func main() {
	ctx := context.Background()
	var row struct {
		provider.Customer
		ExternalID string
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	var store provider.Memory
	if err == nil {
		err = json.Unmarshal([]byte(os.Args[1]), &row)
	}
	id, bad := provider.ParseExternalID(row.ExternalID)
	row.Name = "acme"
	if err = errors.Join(err, bad, store.Save(ctx, row.Name, provider.State{ID: id})); err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "ring" {
			event, _ := json.Marshal(map[string]any{"type": "External ID Rotated", "data": map[string]string{
				"grant": row.Grant, "account": row.Account, "roleArn": row.RoleARN, "secretArn": row.SecretARN}})
			err = notified(ctx, cfg, &store, func(string) (provider.Customer, error) { return row.Customer, nil }, event)
		} else {
			_, err = enter(ctx, cfg, &store, row.Customer)
		}
		s, lost := store.Load(ctx, row.Name)
		out := map[string]string{"error": "", "confirmed": s.Confirmed, "id": s.ID.Fingerprint()[1:]}
		if err = errors.Join(err, lost); err != nil {
			out["error"] = err.Error()
		}
		line, _ := json.Marshal(out)
		fmt.Println(string(line))
	}
}
