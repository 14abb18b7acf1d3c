package apikey

// MaxCached is how many keys each cache holds.
const MaxCached = maxCached

// Cached counts the keys in memory.
func (a *Authorizer) Cached() (known, refused int) {
	return len(a.known.entries), len(a.refused.entries)
}
