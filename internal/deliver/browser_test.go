//go:build chromium

package deliver

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var screenshots = flag.String("screenshots", "", "folder for pictures of some mails")

// pictured are the mails that docs/mail.md shows.
var pictured = []string{"external-id-rotated", "access-revoked", "weekly-digest"}

// view is how a reader looks at a mail.
type view struct {
	width  int // CSS pixels: a small phone, a desk
	scheme string
}

var views = []view{{320, "light"}, {320, "dark"}, {1280, "light"}, {1280, "dark"}}

// shown is what Chromium says of one mail.
type shown struct {
	Name          string
	Width, Height int    // of the whole content, in CSS pixels
	Lead          int    // where the first sentence begins, from above
	Color         string // of the text
}

// TestMailsInABrowser renders every mail with Chromium, at each width and in each colour scheme.
func TestMailsInABrowser(t *testing.T) {
	browser := chromium(t)
	for _, v := range views {
		all := v.measure(t, browser)
		if len(all) != len(sayings) {
			t.Fatalf("%v: %d mails, want %d", v, len(all), len(sayings))
		}
		for _, s := range all {
			if s.Width > v.width {
				t.Errorf("%s is %d px wide in a window of %d px", s.Name, s.Width, v.width)
			}
			if s.Lead > 60 || s.Height < 200 {
				t.Errorf("%s at %d px: the sentence begins at %d px of %d", s.Name, v.width, s.Lead, s.Height)
			}
			if want := map[string]string{"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[v.scheme]; s.Color != want {
				t.Errorf("%s, %s: text is %s, want %s", s.Name, v.scheme, s.Color, want)
			}
			for _, name := range pictured {
				if *screenshots != "" && s.Name == name {
					v.picture(t, browser, s)
				}
			}
		}
	}
}

// chromium is the browser's path.
func chromium(t *testing.T) string {
	t.Helper()
	name := cmp.Or(os.Getenv("CHROMIUM"), "chromium")
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing, so no mail was rendered: install Debian's package chromium, or set CHROMIUM to a Chromium or Chrome", name)
	}
	return path
}

// measure shows each mail in a frame of the view's width, and lets a script beside them say how they came out.
func (v view) measure(t *testing.T, browser string) []shown {
	t.Helper()
	var page strings.Builder
	page.WriteString("<!doctype html><meta charset=utf-8><body style='margin:0;color-scheme:light dark'>\n")
	for _, s := range sayings {
		m := s.message()
		fmt.Fprintf(&page, "<iframe id=%q width=%d height=100 style='border:0;display:block' srcdoc=\"%s\"></iframe>\n",
			s.name, v.width, html.EscapeString(m.html()))
	}
	page.WriteString(`<script>
addEventListener("load", () => {
  const all = [...document.querySelectorAll("iframe")].map((frame) => {
    const d = frame.contentDocument;
    return {Name: frame.id, Width: d.documentElement.scrollWidth, Height: d.querySelector("main").offsetHeight,
            Lead: Math.round(d.querySelector("h1").getBoundingClientRect().top), Color: getComputedStyle(d.body).color};
  });
  document.body.innerHTML = "<pre>" + JSON.stringify(all) + "</pre>";
});
</script>`)
	out := v.run(t, browser, page.String(), 2000, "--dump-dom")
	_, text, _ := strings.Cut(out, "<pre>")
	text, _, _ = strings.Cut(text, "</pre>")
	var all []shown
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &all); err != nil {
		t.Fatalf("%v: %v in %.200q", v, err, out)
	}
	return all
}

// picture writes a screenshot of the whole mail.
func (v view) picture(t *testing.T, browser string, s shown) {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(*screenshots, fmt.Sprintf("%s-%d-%s.png", s.Name, v.width, v.scheme)))
	if err != nil {
		t.Fatal(err)
	}
	for _, saying := range sayings {
		if saying.name == s.Name {
			m := saying.message()
			v.run(t, browser, m.html(), s.Height, "--hide-scrollbars", "--screenshot="+file)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("no picture: %v", err)
	}
}

func (v view) run(t *testing.T, browser, page string, height int, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "mail.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	scheme := map[string]string{"dark": "0", "light": "1"}[v.scheme]
	flags = append(flags, "--headless", "--disable-gpu", "--no-first-run", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--blink-settings=preferredColorScheme="+scheme, fmt.Sprintf("--window-size=%d,%d", v.width, height))
	if os.Geteuid() == 0 {
		flags = append(flags, "--no-sandbox") // Chromium refuses to start as root with one; the page is ours
	}
	cmd := exec.CommandContext(t.Context(), browser, append(flags, "file://"+file)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Chromium: %v\n%s", err, said.String())
	}
	return string(out)
}
