package check

import (
	"slices"
	"strings"

	"oncegate/internal/cfn"
)

// truth is an answer that may be unknown.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// absent are condition keys that no request of the functions has: CloudFront and S3 see the
// upload as it comes, with nothing signed but its host, and it comes through no VPC endpoint.
var absent = []string{
	"s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-customer-algorithm",
	"s3:x-amz-acl", "s3:x-amz-copy-source", "aws:sourcevpce", "aws:sourcevpc", "aws:vpcsourceip", "aws:referer",
}

// holds reports whether the statement's conditions hold for requests of the functions: all of
// them must.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func (s Statement) holds() truth {
	all := yes
	for operator, keys := range s.Condition {
		for key, values := range keys {
			all = min(all, condition(strings.ToLower(operator), strings.ToLower(key), values))
		}
	}
	return all
}

func condition(operator, key string, values cfn.Strings) truth {
	isNull := slices.Equal(values, cfn.Strings{"true"})
	switch {
	case slices.Contains(absent, key) || strings.HasPrefix(key, "s3:x-amz-grant-"):
		// A negated operator and one that ends in IfExists hold for a key that is absent.
		return when(operator == "null" && isNull || operator != "null" && (strings.Contains(operator, "not") || strings.HasSuffix(operator, "ifexists")))
	case key == "aws:securetransport" && operator == "bool":
		return when(slices.Equal(values, cfn.Strings{"true"}))
	case key == "s3:tlsversion" && operator == "numericlessthan" && (slices.Equal(values, cfn.Strings{"1.2"}) || slices.Equal(values, cfn.Strings{"1.1"})):
		return no // CloudFront and Lambda speak TLS 1.2 at least
	case key == "s3:if-none-match" && operator == "null" && isNull:
		return yes // of an upload, without "writeOnce"
	}
	return unknown
}

func when(holds bool) truth {
	if holds {
		return yes
	}
	return no
}
