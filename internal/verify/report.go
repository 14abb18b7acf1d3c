package verify

import (
	"fmt"
	"strings"
)

// Text returns the line for people, without a line break at its end.
func (l Line) Text() string {
	s := fmt.Sprintf("%-7s %-20s %s", l.Result, l.ID, l.Promise)
	if l.Observed != "" {
		s += " [" + l.Observed + "]"
	}
	indent := "\n" + strings.Repeat(" ", 29)
	if l.Result == Skipped || l.Result == Unclear {
		s += indent + l.Reason
	}
	if l.Result == Fail || l.Result == Unclear {
		s += indent + "expected " + l.Expected + indent + "got      " + l.Got
	}
	return s
}

// Summary returns the text that follows the lines.
func (r Report) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nLeft in the bucket, as far as known: %d objects (--json lists them)\n", len(r.Left))
	fmt.Fprintf(&b, "%s: %d ok, %d failed, %d unclear, %d skipped; %d requests in %.1f s\n",
		r.URL, r.Count(OK), r.Count(Fail), r.Count(Unclear), r.Count(Skipped), r.Requests, r.Seconds)
	return b.String()
}
