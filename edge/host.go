package edge

import (
	"strings"

	"oncegate/internal/onetime"
)

// maxHostBytes is the longest name of DNS and a port: 253 and ":65535".
const maxHostBytes = 259

// Minted URLs begin with the viewer's own host. So whatever is asked for, a request must
// name one host (RFC 9112, 3.2), in bytes that cannot be taken for another part of a URL
// or for the end of a line. Names beyond ASCII are punycode on the wire.
const (
	hostCharacters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	addressCharacters = "0123456789abcdefABCDEF:." // of IPv6, between [ and ]
	digits            = "0123456789"
)

// parseHost returns the value of the one Host header, a name or an address with or
// without a port. Any other request is refused.
func parseHost(headers Headers) (string, error) {
	values := headers.Values("host")
	if len(values) != 1 || !isHost(values[0]) {
		return "", &onetime.Refusal{Reason: onetime.Header, Detail: "send exactly one Host header, with a host name"}
	}
	return values[0], nil
}

func isHost(s string) bool {
	if len(s) > maxHostBytes {
		return false
	}
	name, characters := s, hostCharacters
	port := ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		if name, port, ok = strings.Cut(rest, "]"); !ok {
			return false
		}
		characters = addressCharacters
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		name, port = s[:i], s[i:]
	}
	if name == "" || strings.Trim(name, characters) != "" {
		return false
	}
	if port == "" {
		return true
	}
	number, ok := strings.CutPrefix(port, ":")
	return ok && len(number) >= 1 && len(number) <= 5 && strings.Trim(number, digits) == ""
}
