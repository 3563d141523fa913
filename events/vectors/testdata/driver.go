// The driver hands vectors to the snippet in Go: {name: vector} in, {name: [verdict]} out.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	var vectors map[string]struct {
		Secrets    []string
		Deliveries []struct {
			At            int64
			Headers       map[string]string
			Body, Verdict string
		}
	}
	if err := json.NewDecoder(os.Stdin).Decode(&vectors); err != nil {
		log.Fatal(err)
	}
	out := map[string][]string{}
	for name, v := range vectors {
		done := map[string]bool{}
		for _, d := range v.Deliveries {
			header := http.Header{}
			for name, value := range d.Headers {
				header.Set(name, value)
			}
			verdict := "repeat"
			take := func(id string, body []byte) error {
				switch {
				case string(body) != d.Body:
					log.Fatalf("%s: the work got another body", name)
				case done[id]:
				case d.Verdict == "failed":
					verdict = "failed"
					return errors.New("the work failed")
				default:
					done[id], verdict = true, "new"
				}
				return nil
			}
			switch status := Receive(header, []byte(d.Body), v.Secrets, time.Unix(d.At, 0), take); {
			case status/100 == 4:
				verdict = "refused"
			case status/100 == 5 && verdict != "failed", status/100 == 2 && verdict == "failed":
				log.Fatalf("%s: answered %d to %s", name, status, verdict)
			}
			out[name] = append(out[name], verdict)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}
