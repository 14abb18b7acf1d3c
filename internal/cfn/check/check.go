// Package check holds the promises that a deployment must keep. It looks at the
// synthesized templates and the files packed with the functions.
package check

import (
	"fmt"
	"slices"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// Problem is a promise that a deployment breaks.
type Problem struct {
	Promise string // one of the names in promises
	Detail  string // what breaks it
}

// String is the problem in one line.
func (p Problem) String() string { return p.Promise + ": " + p.Detail }

// promises are all that a deployment must keep. Each check calls broken for every way
// in which its promise is broken.
var promises = []struct {
	name  string
	check func(d *cfn.Deployment, conf config.Config, broken func(format string, args ...any))
}{
	{"bucket", checkBucket},
	{"table", checkTable},
	{"lifecycle", checkLifecycle},
	{"bucket policy", checkBucketPolicy},
	{"associations", checkAssociations},
	{"functions", checkFunctions},
	{"permissions", checkPermissions},
	{"regional", checkRegional},
	{"acceptance", checkAcceptance},
	{"origin", checkOrigin},
	{"forwarding", checkForwarding},
	{"behaviors", checkBehaviors},
	{"viewer", checkViewer},
	{"response headers", checkResponseHeaders},
	{"web acl", checkWebACL},
	{"rollback", checkRollback},
	{"pins", checkPins},
	{"alarms", checkAlarms},
	{"logs", checkLogs},
}

// Deployment returns what is wrong with a deployment that was made for these settings.
// A deployment without problems works as far as its templates can show.
func Deployment(d *cfn.Deployment, conf config.Config) []Problem {
	var problems []Problem
	for _, p := range promises {
		p.check(d, conf, func(format string, args ...any) {
			problems = append(problems, Problem{p.name, fmt.Sprintf(format, args...)})
		})
	}
	return problems
}

// compare calls missing and extra for the difference of two sets.
func compare(want, got []string, missing, extra func(string)) {
	for _, w := range want {
		if !slices.Contains(got, w) {
			missing(w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			extra(g)
		}
	}
}
