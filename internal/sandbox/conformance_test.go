package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sandbox"
	"github.com/countersign/countersign/internal/sandbox/conformance"
	"github.com/countersign/countersign/internal/simtest"
)

// direct are the functions on the embedded AWS, with nothing before them.
type direct struct {
	*simtest.World
	ctx context.Context
}

func (d direct) Version() string {
	id, _ := d.Secrets.Labelled(d.Plans["migration"].SecretARN, grant.StageCurrent)
	return id
}

func (d direct) Send(t *testing.T, as conformance.As, method, path, body string) (int, string) {
	t.Helper()
	session := "arn:aws:sts::" + simtest.Customer + ":assumed-role/" + d.Plans["migration"].RoleName() + "/"
	who := map[conformance.As]string{conformance.Operator: simtest.Operator, conformance.Session: session + "app", conformance.Proof: session + grant.ConfirmSession(d.Version())}[as]
	status, answer, err := d.World.Send(d.ctx, who, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	d.Sleep(d.ctx, time.Second)
	return status, answer
}

func TestTheSandboxAnswersAsTheFunctionsDo(t *testing.T) {
	t.Run("over HTTP", func(t *testing.T) {
		a := newAccount(t)
		conformance.Run(t, &conformance.HTTP{
			URL: a.url, Region: sandbox.Region, Now: func() string { return a.Facts(t.Context()).VersionID },
			Enter: func(_ context.Context, session string) (aws.Credentials, error) { return a.enter(t, session), nil },
		}, func(conformance.Case) bool { return true })
	})
	t.Run("the functions", func(t *testing.T) {
		w := direct{simtest.New(simtest.Config{Period: time.Hour, Workers: true}), t.Context()}
		p := simtest.Migration()
		p.WhenUnconfirmed = grant.UnconfirmedAuto
		if err := w.Deploy(w.ctx, p); err != nil {
			t.Fatal(err)
		}
		conformance.Run(t, w, func(c conformance.Case) bool { return !c.Gateway })
	})
}

// Who hangs up in the middle leaves no half of a rotation behind.
func TestARequestIsDoneAlthoughItsSenderIsGone(t *testing.T) {
	a := newAccount(t)
	was := a.Facts(t.Context()).VersionID
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+sandbox.ControlPath+"/rotate", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	a.ServeHTTP(httptest.NewRecorder(), r)
	if now := a.Facts(t.Context()); now.VersionID == was || !now.Kept {
		t.Errorf("%+v", now)
	}
}
