//go:build chromium

package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var screenshots = flag.String("screenshots", "", "folder for pictures of the page")

// hostile is what somebody appends to the page's address, hoping that it lands in a link that the page's owner passes on.
var hostile = []string{
	"#<img src=x onerror=parent.hit()>",
	"#%3Cscript%3Eparent.hit()%3C/script%3E",
	"#javascript:parent.hit()",
	"#ProviderAccount=999999999999",
	"#/stacks/create/review?templateURL=https://evil.example.com/t.json&param_ProviderAccount=999999999999",
	"#templateURL=https%3A%2F%2Fevil.example.com%2Ft.json",
	"#form",
	"#ProviderAccount",
	"#:~:text=Provider",
	"#\"><svg onload=parent.hit()>",
	"#__proto__[bucket]=evil&constructor[prototype][bucket]=evil",
	"?ProviderAccount=999999999999&Region=us-east-1",
	"?templateURL=https://evil.example.com/t.json",
	"?param_ProviderAccount=999999999999#param_Permissions=arn:aws:iam::aws:policy/AdministratorAccess",
	"?bucket=evil&prefix=evil/#bucket=evil",
	"?%22%3E%3Cscript%3Eparent.hit()%3C/script%3E",
}

var widths = []int{320, 375, 480, 640, 768, 1024, 1280}

// driver shows the page in frames of its own origin, fills in forms and says how it came out. parent.hit is what a hostile
// address would call, and window.name is what one page can leave for the next.
const driver = `<!doctype html><meta charset=utf-8><body style="margin:0"><script>
window.hits = 0; window.hit = () => { window.hits++; };
const open = (address, width) => new Promise((ready) => {
  const frame = document.createElement("iframe");
  frame.name = "ProviderAccount=999999999999&<img src=x onerror=parent.hit()>";
  frame.style = "border:0;display:block;width:" + width + "px;height:900px";
  frame.addEventListener("load", () => ready(frame), {once: true});
  frame.src = address;
  document.body.append(frame);
});
const fill = (frame, values) => {
  const d = frame.contentDocument;
  for (const [id, value] of Object.entries(values)) {
    const field = d.getElementById(id);
    field.value = value;
    field.dispatchEvent(new frame.contentWindow.Event(field.tagName === "SELECT" ? "change" : "input", {bubbles: true}));
  }
  return {
    Link: d.getElementById("text").value, Href: d.getElementById("link").getAttribute("href"), Shown: !d.getElementById("result").hidden,
    Problems: [...d.querySelectorAll("#problems li")].map((item) => item.textContent),
    Account: d.getElementById("ProviderAccount").value, AccountAsked: !d.getElementById("ProviderAccount").disabled,
  };
};
const good = %s;
(async () => {
  const out = {Addresses: {}, Forms: [], Widths: {}};
  for (const suffix of ["", ...%s]) {
    const frame = await open("quick-create.html" + suffix, 1024);
    const before = frame.contentDocument.documentElement.outerHTML;
    out.Addresses[suffix] = {Before: before, ...fill(frame, good)};
    frame.remove();
  }
  for (const values of %s) {
    const frame = await open("quick-create.html", 1024);
    out.Forms.push(fill(frame, values));
    frame.remove();
  }
  for (const width of %s) {
    const frame = await open("quick-create.html", width);
    fill(frame, good);
    const d = frame.contentDocument, boxes = [...d.querySelectorAll("main *")].map((e) => e.getBoundingClientRect());
    out.Widths[width] = {Width: d.documentElement.scrollWidth, Right: Math.max(...boxes.map((b) => Math.ceil(b.right))),
      Least: Math.min(...[...d.querySelectorAll("input,select")].map((e) => Math.floor(e.getBoundingClientRect().width)))};
    frame.remove();
  }
  out.Hits = window.hits;
  const pre = document.createElement("pre");
  pre.textContent = JSON.stringify(out);
  document.body.replaceChildren(pre);
})();
</script>`

// filled is what a page said of a form.
type filled struct {
	Before, Link, Href string
	Shown              bool
	Problems           []string
	Account            string
	AccountAsked       bool
}

type shown struct {
	Addresses map[string]filled
	Forms     []filled
	Widths    map[int]struct{ Width, Right, Least int }
	Hits      int
}

var good = map[string]string{
	"region": "eu-west-1", "stack": "Hestio", "ProviderName": "hestio", "ProviderAccount": "111122223333", "GrantName": "migration", "Prefix": "hestio",
	"Permissions": "arn:aws:iam::aws:policy/AmazonS3FullAccess,arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess", "RotateEvery": "weekly",
}

const goodLink = "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create/review" +
	"?templateURL=https%3A%2F%2Fexample-countersign-eu-west-1.s3.eu-west-1.amazonaws.com%2Fcountersign%2Fv1.2.3%2Fcountersign.template.json" +
	"&stackName=Hestio&param_ProviderName=hestio&param_ProviderAccount=111122223333&param_GrantName=migration" +
	"&param_Permissions=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAmazonS3FullAccess%2Carn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAmazonEC2ReadOnlyAccess" +
	"&param_Prefix=hestio&param_RotateEvery=weekly"

// forms are what somebody fills in, and what the page says to it; "": it makes a link.
var forms = []struct{ field, value, says string }{
	{"ProviderAccount", "11112222333", "12 digits"},
	{"ProviderAccount", "1111-2222-3333", "12 digits"},
	{"ProviderAccount", "<script>", "12 digits"},
	{"Prefix", "ab", "4 to 32"},
	{"Prefix", "abc-def", "4 to 32"},
	{"Principals", "*", "ARNs of roles or users"},
	{"Principals", "arn:aws:iam::111122223333:role/A,arn:aws:iam::111122223333:user/b", ""},
	{"Principals", "arn:aws:iam::111122223333:role/A,", "ARNs of roles or users"},
	{"Permissions", "arn:aws:iam::aws:policy/AdministratorAccess", "must repeat the provider's account"},
	{"Permissions", "AmazonS3FullAccess", "ARNs of managed policies"},
	{"RotateEvery", "4h", "one of 1h, 2h"},
	{"Overlap", "12h", ""},
	{"Expires", "2001-01-01T00:00:00Z", "a time to come"},
	{"Expires", "2099-01-01", "like 2027"},
	{"Expires", "2099-01-01T00:00:00Z", ""},
	{"MaxSessionSeconds", "60", "from 3600 to 43200"},
	{"NotifyWebhook", "https://hooks.example.com/x", "belongs together"},
	{"NotifyWebhook", "javascript:alert(1)", "https://"},
	{"stack", "1st", "letter"},
	{"stack", "a&param_ProviderAccount=9", "letter"},
	{"template", "countersign-hestio.template.json", ""},
}

// TestThePageInABrowser shows the page in Chromium.
func TestThePageInABrowser(t *testing.T) {
	page := written(t, example().writePage, "quick-create.html")
	var asked []map[string]string
	for _, f := range forms {
		values := map[string]string{}
		for k, v := range good {
			values[k] = v
		}
		values[f.field] = f.value
		asked = append(asked, values)
	}
	got, requests := drive(t, page, fmt.Sprintf(driver, js(t, good), js(t, hostile), js(t, asked), js(t, widths)))

	clean := got.Addresses[""]
	if clean.Link != goodLink || clean.Href != goodLink || !clean.Shown || len(clean.Problems) > 0 {
		t.Errorf("the link is\n%s, want\n%s; %v", clean.Link, goodLink, clean.Problems)
	}
	if len(got.Addresses) != len(hostile)+1 {
		t.Errorf("%d addresses", len(got.Addresses))
	}
	for suffix, is := range got.Addresses {
		if is.Before != clean.Before || is.Link != clean.Link || is.Href != clean.Href {
			t.Errorf("%s changes the page", suffix)
		}
	}
	if got.Hits != 0 {
		t.Errorf("a hostile address ran a script %d times", got.Hits)
	}
	for i, f := range forms {
		is := got.Forms[i]
		if says := strings.Join(is.Problems, " "); f.says == "" && (!is.Shown || says != "") || f.says != "" && (!strings.Contains(says, f.says) || is.Shown || is.Link != "" || strings.Contains(is.Href, "#")) {
			t.Errorf("%s %q: %q, want %q; link %s", f.field, f.value, says, f.says, is.Link)
		}
	}
	if own := got.Forms[len(forms)-1]; own.Account != "111122223333" || own.AccountAsked || strings.Contains(own.Link, "param_ProviderAccount") || !strings.Contains(own.Link, "countersign-hestio.template.json") {
		t.Errorf("the provider's own template: %+v", own)
	}
	for _, width := range widths {
		if w := got.Widths[width]; w.Width > width || w.Right > width || w.Least < 200 {
			t.Errorf("in %d px: %+v", width, w)
		}
	}
	for _, r := range requests {
		if r != "/driver.html" && r != "/quick-create.html" && r != "/favicon.ico" {
			t.Errorf("%s was asked for", r)
		}
	}
	if *screenshots != "" {
		picture(t, page)
	}
}

func js(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// drive serves the page and its driver on the loopback, and gives what the driver said and what was asked for.
func drive(t *testing.T, page, driver string) (got shown, requests []string) {
	t.Helper()
	server := serve(t, page, driver, &requests)
	out := chromium(t, server.URL+"/driver.html", "--dump-dom", "--virtual-time-budget=20000", "--window-size=1280,900")
	_, text, _ := strings.Cut(out, "<pre>")
	text, _, _ = strings.Cut(text, "</pre>")
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &got); err != nil {
		t.Fatalf("%v in %.300q", err, out)
	}
	return got, requests
}

func serve(t *testing.T, page, driver string, requests *[]string) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(*requests, r.URL.Path) {
			*requests = append(*requests, r.URL.Path)
		}
		body := map[string]string{"/driver.html": driver, "/quick-create.html": page}[r.URL.Path]
		if body == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server
}

// picture writes the page, filled in, at the narrowest and the widest.
func picture(t *testing.T, page string) {
	t.Helper()
	for _, size := range []struct{ width, height int }{{320, 4600}, {1280, 2900}} {
		show := fmt.Sprintf(`<!doctype html><meta charset=utf-8><body style="margin:0"><script>
const frame = document.createElement("iframe");
frame.style = "border:0;display:block;width:%dpx;height:%dpx";
frame.addEventListener("load", () => {
  for (const [id, value] of Object.entries(%s)) {
    const field = frame.contentDocument.getElementById(id);
    field.value = value;
    field.dispatchEvent(new frame.contentWindow.Event("input", {bubbles: true}));
  }
});
frame.src = "quick-create.html";
document.body.append(frame);
</script>`, size.width, size.height, js(t, good))
		file, err := filepath.Abs(filepath.Join(*screenshots, fmt.Sprintf("quick-create-%d.png", size.width)))
		if err != nil {
			t.Fatal(err)
		}
		var requests []string
		server := serve(t, page, show, &requests)
		chromium(t, server.URL+"/driver.html", "--screenshot="+file, "--hide-scrollbars", "--virtual-time-budget=5000",
			fmt.Sprintf("--window-size=%d,%d", size.width, size.height), "--blink-settings=preferredColorScheme=1")
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("no picture: %v", err)
		}
	}
}

// chromium runs the browser headless, and gives what it prints.
func chromium(t *testing.T, address string, flags ...string) string {
	t.Helper()
	name := cmp.Or(os.Getenv("CHROMIUM"), "chromium")
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing, so the page was not shown: install Debian's package chromium, or set CHROMIUM to a Chromium or Chrome", name)
	}
	flags = append(flags, "--headless", "--disable-gpu", "--no-first-run", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"))
	if os.Geteuid() == 0 {
		flags = append(flags, "--no-sandbox") // Chromium refuses to start as root with one; the page is ours
	}
	cmd := exec.CommandContext(t.Context(), path, append(flags, address)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Chromium: %v\n%s", err, said.String())
	}
	return string(out)
}
