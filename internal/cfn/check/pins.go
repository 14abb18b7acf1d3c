package check

import (
	"strings"

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
		if _, made := d.Pins[conf.Deploy.Name+p.stack]; !made && p.stack == "-bucket" && conf.Deploy.ExistingBucket {
			continue // there is nothing to make there
		}
		if got := pin(d, conf.Deploy.Name+p.stack, p.parameter); got.First != p.value || got.Want != p.value {
			broken("stack %s begins with %s %q and asks for %q, want %q for both: a deploy could change it",
				conf.Deploy.Name+p.stack, p.parameter, got.First, got.Want, p.value)
		}
	}
}

// pin is a pin of a stack. In the stack of a shared distribution, which has any name, it has
// the name of the distribution's part before its own.
func pin(d *cfn.Deployment, stack, parameter string) cfn.Pin {
	if _, there := d.Pins[stack]; there || !d.Shared {
		return d.Pins[stack][parameter]
	}
	for _, pins := range d.Pins {
		for name, p := range pins {
			if strings.Contains(name, parameter) && name != parameter {
				return p
			}
		}
	}
	return cfn.Pin{}
}
