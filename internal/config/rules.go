package config

import "strings"

const (
	bucketRule = "allowed are 3 to 63 of a-z, 0-9 and hyphen, a letter or digit at both ends, " +
		"none of the prefixes and suffixes that S3 reserves"
	originsRule = `allowed is a list of origins as browsers send them, lower-case "scheme://host[:port]", or ["*"] alone`
)

// What S3 keeps for itself in the names of general purpose buckets:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
// "-an" is for buckets in an account's own namespace, which are created in
// another way than this project does.
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", "--x-s3", "--table-s3", "-an"}
)

// validBucket is stricter than S3 in one thing: no dots. A name with dots cannot
// be a label of <bucket>.s3.<region>.amazonaws.com under Amazon's certificate,
// so signers fall back to a host that the CloudFront origin does not have.
func validBucket(s string) bool {
	if len(s) < 3 || len(s) > 63 || !label(s) {
		return false
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(s, p) {
			return false
		}
	}
	for _, p := range reservedSuffixes {
		if strings.HasSuffix(s, p) {
			return false
		}
	}
	return true
}

// validRegion looks at the shape alone (us-east-1, us-gov-west-1): new Regions
// appear more often than new releases of this project.
func validRegion(s string) bool {
	parts := strings.Split(s, "-")
	if len(s) > 32 || len(parts) < 3 || len(parts[0]) != 2 {
		return false
	}
	last := len(parts) - 1
	for _, p := range parts[:last] {
		if p == "" || !only(p, lower) {
			return false
		}
	}
	return parts[last] != "" && len(parts[last]) <= 2 && only(parts[last], digit)
}

// validOrigin accepts the serialised origin of RFC 6454, section 6.2, as browsers
// put it into the Origin header: they lower-case it and leave out default ports,
// so any other spelling would match nothing.
func validOrigin(s string) bool {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || !lower(scheme[0]) || !only(scheme, func(c byte) bool {
		return lower(c) || digit(c) || c == '+' || c == '-' || c == '.'
	}) {
		return false
	}
	host, port := rest, ""
	if strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return false
		}
		host, port = rest[:end+1], rest[end+1:]
		inner := host[1:end]
		if !strings.Contains(inner, ":") || !only(inner, func(c byte) bool {
			return digit(c) || c >= 'a' && c <= 'f' || c == ':' || c == '.'
		}) {
			return false
		}
	} else {
		if i := strings.IndexByte(rest, ':'); i >= 0 {
			host, port = rest[:i], rest[i:]
		}
		if len(host) > 253 {
			return false
		}
		if !labels(host) {
			return false
		}
	}
	if port == "" {
		return true
	}
	p := strings.TrimPrefix(port, ":")
	if p == port || p == "" || len(p) > 5 || p[0] == '0' || !only(p, digit) || len(p) == 5 && p > "65535" {
		return false
	}
	return !(scheme == "http" && p == "80" || scheme == "https" && p == "443")
}

// labels says whether every dot-separated part of s is a DNS label.
func labels(s string) bool {
	for _, l := range strings.Split(s, ".") {
		if len(l) > 63 || !label(l) {
			return false
		}
	}
	return true
}

// label says whether s is a lower-case DNS label: letters, digits and hyphens,
// no hyphen at either end.
func label(s string) bool {
	return s != "" && s[0] != '-' && s[len(s)-1] != '-' && only(s, func(c byte) bool {
		return lower(c) || digit(c) || c == '-'
	})
}

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }
