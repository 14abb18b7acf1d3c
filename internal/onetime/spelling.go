package onetime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/urlquery"
)

// Many spellings of one query mean the same to S3, because SigV4 signs a canonical
// form of it: parameters sorted, names and values encoded in one way
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
// Clients rely on that. Some decode %2F, some write %2f, some sort the parameters,
// some leave a "&" at the end.
//
// The gate takes them all for one URL: it brings the query back to the one spelling
// that mint writes, and the fingerprint is of that spelling. So every spelling of a
// URL has the same entries and there is one claim for all of them.

// parameters are those of a minted URL, in the order in which mint writes them.
var parameters = []string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "x-id", "X-Amz-Signature",
}

// respell returns a query in mint's spelling: empty members dropped, each name and
// value percent-decoded once, each known name exactly once and no other. What the
// values mean is not looked at. Its errors name what is wrong and repeat nothing.
func respell(query string) (string, error) {
	values := make([]string, len(parameters))
	given := make([]bool, len(parameters))
	for member := range strings.SplitSeq(query, "&") {
		if member == "" {
			continue
		}
		name, value, _ := strings.Cut(member, "=")
		name, err := urlquery.Unescape(name)
		if err != nil {
			return "", err
		}
		if value, err = urlquery.Unescape(value); err != nil {
			return "", err
		}
		i := slices.Index(parameters, name)
		switch {
		case i < 0:
			return "", errors.New("query: has a parameter that no minted URL has")
		case given[i]:
			return "", fmt.Errorf("query: has %s twice", name)
		}
		values[i], given[i] = value, true
	}
	if i := slices.Index(given, false); i >= 0 {
		return "", fmt.Errorf("query: has no %s", parameters[i])
	}
	var b strings.Builder
	for i, name := range parameters {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(sigv4.Escape(values[i]))
	}
	return b.String(), nil
}
