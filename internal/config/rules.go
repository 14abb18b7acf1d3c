package config

import "strings"

const (
	bucketRule = "3 to 63 of a-z, 0-9 and hyphen, a letter or digit at both ends, " +
		"none of the prefixes and suffixes that S3 reserves"
	nameRule        = "1 to 40 of a-z, 0-9 and hyphen, beginning with a letter and not ending with a hyphen or -regional"
	kmsKeyRule      = "aws/s3, or the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>"
	certificateRule = "the ARN of an ACM certificate in us-east-1, arn:aws:acm:us-east-1:<account>:certificate/<id>"
)

// What S3 reserves in the names of general purpose buckets:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
// "-an" is for buckets in an account's own namespace, which are not created the way
// this project creates a bucket.
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", "--x-s3", "--table-s3", "-an"}
)

// validBucket takes what S3 takes, except dots. Amazon's certificate does not cover
// <bucket>.s3.<region>.amazonaws.com if the name has a dot, so signers fall back to
// another host than the CloudFront origin's.
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

// validRegion checks the shape only (us-east-1, us-gov-west-1), because new Regions
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

// validOrigin accepts an origin as browsers send it in the Origin header (RFC 6454,
// section 6.2): in lower case, without a default port. Any other spelling would never
// match.
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

// validName leaves out what ends like the names of regional functions: the edge functions
// of "x-regional" would be called as the regional ones of "x".
func validName(s string) bool {
	return len(s) <= 40 && label(s) && lower(s[0]) && !strings.HasSuffix(s, "-regional")
}

func validDomain(s string) bool { return len(s) <= 253 && strings.Contains(s, ".") && labels(s) }

// validCertificate accepts certificates of us-east-1 only, as CloudFront does:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html
func validCertificate(s string) bool {
	rest, ok := strings.CutPrefix(s, "arn:aws:acm:us-east-1:")
	account, id, cut := strings.Cut(rest, ":certificate/")
	return ok && cut && len(account) == 12 && only(account, digit) && label(id)
}

// validKMSKey accepts keys by their ARN alone: an alias can come to name another key, and IAM
// takes no alias as a resource.
// https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
func validKMSKey(s string) bool {
	rest, ok := strings.CutPrefix(s, "arn:aws:kms:")
	region, rest, cut := strings.Cut(rest, ":")
	account, id, named := strings.Cut(rest, ":key/")
	return s == AWSManagedKey || ok && cut && named && validRegion(region) && len(account) == 12 && only(account, digit) && label(id)
}

func validEmail(s string) bool {
	user, host, ok := strings.Cut(s, "@")
	return ok && user != "" && !strings.ContainsAny(user, " \t\r\n\"<>") && strings.Contains(host, ".") && only(host, hostCharacter)
}

// validClaim accepts visible ASCII, because claims are compared byte for byte.
func validClaim(s string) bool {
	return s != "" && len(s) <= 255 && only(s, func(c byte) bool { return c > ' ' && c < 0x7f })
}

// validURL accepts https, and http on this machine, which Deployable and the real edge
// refuse.
func validURL(s string) bool {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !validClaim(s) || strings.ContainsAny(s, "\"#<>\\^`{|}") {
		return false
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority = rest[:end]
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if host == "" || !only(host, hostCharacter) || hasPort && (port == "" || len(port) > 5 || !only(port, digit)) {
		return false
	}
	return scheme == "https" || scheme == "http" && host == "127.0.0.1"
}

// hostCharacter reports whether c may be part of a host name or an address.
func hostCharacter(c byte) bool {
	return lower(c) || c >= 'A' && c <= 'Z' || digit(c) || c == '-' || c == '.'
}

// validParameter accepts full names of SSM parameters:
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
func validParameter(s string) bool {
	if len(s) < 2 || len(s) > 512 || s[0] != '/' || strings.HasSuffix(s, "/") || strings.Contains(s, "//") || strings.Count(s, "/") > 15 {
		return false
	}
	first := strings.ToLower(strings.Split(s, "/")[1])
	return !strings.HasPrefix(first, "aws") && !strings.HasPrefix(first, "ssm") && only(s, func(c byte) bool {
		return lower(c) || digit(c) || c >= 'A' && c <= 'Z' || strings.IndexByte("/_.-", c) >= 0
	})
}

// labels reports whether every dot-separated part of s is a DNS label.
func labels(s string) bool {
	for _, l := range strings.Split(s, ".") {
		if len(l) > 63 || !label(l) {
			return false
		}
	}
	return true
}

// label reports whether s is a lower-case DNS label: letters, digits and hyphens,
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
