package form_test

import (
	"slices"
	"testing"

	"github.com/countersign/countersign/internal/form"
)

func TestAFormIsItsPattern(t *testing.T) {
	f := form.New(`^([a-z]+)-([0-9])$`)
	if !f.MatchString("a-1") || f.MatchString("a-12") {
		t.Error("another pattern matches")
	}
	if got := f.FindStringSubmatch("ab-1"); !slices.Equal(got, []string{"ab-1", "ab", "1"}) {
		t.Errorf("%q", got)
	}
	if got := f.FindStringSubmatchIndex("ab-1"); !slices.Equal(got, []int{0, 4, 0, 2, 3, 4}) {
		t.Errorf("%v", got)
	}
}

// A pattern that is none is found by the first use, and by no start.
func TestNothingIsCompiledBeforeItIsUsed(t *testing.T) {
	f := form.New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("it is taken")
		}
	}()
	f.MatchString("")
}
