package metric_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/internal/metric"
)

// emf is what CloudWatch documents of its embedded metric format, read into a JSON Schema of ours: the structure on
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html, and the
// limits of names on
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html and API_Dimension.html.
//
//go:embed testdata/emf.schema.json
var emf []byte

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(emf))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("emf.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("emf.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// isEMF says what is wrong with a line. What a schema can't say is asked besides: dimensions are text in the same line, and
// metrics are numbers.
func isEMF(t *testing.T, line []byte) (metrics []string, wrong string) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return nil, err.Error()
	}
	if err := schema(t).Validate(value); err != nil {
		return nil, err.Error()
	}
	root := value.(map[string]any)
	for _, d := range root["_aws"].(map[string]any)["CloudWatchMetrics"].([]any) {
		for _, set := range d.(map[string]any)["Dimensions"].([]any) {
			for _, name := range set.([]any) {
				if text, ok := root[name.(string)].(string); !ok || text == "" || len(text) > 1024 {
					return nil, name.(string) + " is no text beside _aws"
				}
			}
		}
		for _, m := range d.(map[string]any)["Metrics"].([]any) {
			name := m.(map[string]any)["Name"].(string)
			if _, ok := root[name].(json.Number); !ok {
				return nil, name + " is no number beside _aws"
			}
			metrics = append(metrics, name)
		}
	}
	return metrics, ""
}

func TestTheLineIsWhatCloudWatchReads(t *testing.T) {
	for name, c := range map[string]struct {
		write func(context.Context, metric.Meter)
		want  string
	}{
		"a count": {
			func(ctx context.Context, m metric.Meter) { m.Add(ctx, metric.StepsFailed, 1) },
			`{"time":"2000-01-01T00:00:00Z","level":"INFO","msg":"metric","_aws":{"Timestamp":946684800000,"CloudWatchMetrics":[{"Namespace":"Countersign","Dimensions":[["Stack"]],"Metrics":[{"Name":"StepsFailed","Unit":"Count"}]}]},"Stack":"ServiceProviderAccess-2","StepsFailed":1}`,
		},
		"nothing to count, and somebody looked": {
			func(ctx context.Context, m metric.Meter) { m.Add(ctx, metric.RotationsOverdue, 0) },
			`{"time":"2000-01-01T00:00:00Z","level":"INFO","msg":"metric","_aws":{"Timestamp":946684800000,"CloudWatchMetrics":[{"Namespace":"Countersign","Dimensions":[["Stack"]],"Metrics":[{"Name":"RotationsOverdue","Unit":"Count"}]}]},"Stack":"ServiceProviderAccess-2","RotationsOverdue":0}`,
		},
		"an age": {
			func(ctx context.Context, m metric.Meter) { m.Age(ctx, "migration", 36*time.Hour+time.Millisecond) },
			`{"time":"2000-01-01T00:00:00Z","level":"INFO","msg":"metric","_aws":{"Timestamp":946684800000,"CloudWatchMetrics":[{"Namespace":"Countersign","Dimensions":[["Stack","Grant"]],"Metrics":[{"Name":"ExternalIDAge","Unit":"Seconds"}]}]},"Stack":"ServiceProviderAccess-2","Grant":"migration","ExternalIDAge":129600}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c.write(t.Context(), metric.Meter{
					Log:   slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: inUTC})),
					Stack: "ServiceProviderAccess-2", Ages: true, Now: time.Now,
				})
				if diff := cmp.Diff(c.want+"\n", log.String()); diff != "" {
					t.Error(diff)
				}
				metrics, wrong := isEMF(t, log.Bytes())
				if wrong != "" || len(metrics) != 1 || !slices.Contains(metric.Names, metric.Name(metrics[0])) {
					t.Errorf("%v: %s", metrics, wrong)
				}
			})
		})
	}
}

func inUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

// What isEMF refuses, or the test above proves little.
func TestOtherLinesAreNone(t *testing.T) {
	const right = `{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["S"]],"Metrics":[{"Name":"M","Unit":"Count"}]}]},"S":"s","M":1}`
	if metrics, wrong := isEMF(t, []byte(right)); wrong != "" || !slices.Equal(metrics, []string{"M"}) {
		t.Fatalf("%v: %s", metrics, wrong)
	}
	for name, edit := range map[string][2]string{
		"below another member":    {`{"_aws"`, `{"metric":{"_aws"`},
		"no metadata":             {`"_aws"`, `"aws"`},
		"no time":                 {`"Timestamp":1,`, ``},
		"a time as text":          {`"Timestamp":1`, `"Timestamp":"2000-01-01"`},
		"names in lower case":     {`"Namespace"`, `"namespace"`},
		"an empty namespace":      {`"N"`, `""`},
		"no dimension set":        {`[["S"]]`, `[]`},
		"a dimension and no set":  {`[["S"]]`, `["S"]`},
		"a dimension too many":    {`[["S"]]`, `[["S","X"]]`},
		"a dimension's number":    {`"S":"s"`, `"S":1`},
		"an empty dimension":      {`"S":"s"`, `"S":""`},
		"another unit":            {`"Count"`, `"Days"`},
		"a metric without number": {`"M":1`, `"M":"1"`},
		"a metric that isn't":     {`"M":1`, `"O":1`},
		"more than the metadata":  {`"Timestamp":1,`, `"Timestamp":1,"LogGroup":1,`},
	} {
		line := bytes.Replace([]byte(right), []byte(edit[0]), []byte(edit[1]), 1)
		if name == "below another member" {
			line = append(line, '}')
		}
		if bytes.Equal(line, []byte(right)) {
			t.Fatalf("%s: nothing edited", name)
		}
		if _, wrong := isEMF(t, line); wrong == "" {
			t.Errorf("%s is taken", name)
		}
	}
}

// Where nobody listens a metric costs nothing: no line, no memory.
func TestWithoutAListenerAMetricCostsNothing(t *testing.T) {
	for name, m := range map[string]metric.Meter{
		"zero":      {},
		"discarded": {Log: slog.New(slog.DiscardHandler), Stack: "s", Ages: true, Now: time.Now},
		"no ages":   {Ages: false, Log: slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})), Now: time.Now},
	} {
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() {
			m.Add(ctx, metric.RotationsOverdue, 3)
			m.Age(ctx, "migration", time.Hour)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestAgesCanBeSwitchedOff(t *testing.T) {
	var log bytes.Buffer
	m := metric.Meter{Log: slog.New(slog.NewJSONHandler(&log, nil)), Stack: "s", Now: time.Now}
	m.Age(t.Context(), "migration", time.Hour)
	if log.Len() != 0 {
		t.Errorf("written: %s", log.String())
	}
}
