package cloudfront

import "strings"

// behavior finds the behavior for a raw path. CloudFront matches the path as
// RFC 3986 normalises it, though function and origin get the raw one.
func (d Distribution) behavior(rawPath string) Behavior {
	path := normalise(rawPath)
	for _, b := range d.Behaviors {
		if match(strings.TrimPrefix(b.PathPattern, "/"), strings.TrimPrefix(path, "/")) {
			return b
		}
	}
	return d.Behaviors[len(d.Behaviors)-1] // its pattern is *
}

// match reports whether the whole of s fits the pattern.
func match(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(s); i++ {
				if match(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// normalise decodes percent-encoded unreserved characters (RFC 3986, 6.2.2.2),
// collapses slashes and removes dot segments (5.2.4).
func normalise(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, ok := unhex(path[i+1], path[i+2]); ok {
				if unreserved(c) {
					b.WriteByte(c)
				} else {
					b.WriteString(strings.ToUpper(path[i : i+3]))
				}
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	var out []string
	segments := strings.Split(b.String(), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case s == ".":
			if last {
				out = append(out, "")
			}
		case s != "" || last:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func unhex(hi, lo byte) (byte, bool) {
	digit := func(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
	h, l := digit(hi), digit(lo)
	return byte(h<<4 | l), h >= 0 && l >= 0
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
