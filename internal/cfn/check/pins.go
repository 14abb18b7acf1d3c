package check

import (
	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// checkPins: a live deployment stays with its bucket. With another one the URLs that are out
// would be unknown, and what was stored in the old one would never be accepted.
func checkPins(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	for _, p := range []struct{ stack, parameter, value string }{
		{"-bucket", "DeployedBucket", conf.Bucket},
		{"-edge", "DeployedBucket", conf.Bucket},
		{"-edge", "DeployedRegion", conf.Region},
	} {
		if got := d.Pins[conf.Deploy.Name+p.stack][p.parameter]; got.First != p.value || got.Want != p.value {
			broken("stack %s begins with %s %q and asks for %q, want %q for both: a deploy could change it",
				conf.Deploy.Name+p.stack, p.parameter, got.First, got.Want, p.value)
		}
	}
}
