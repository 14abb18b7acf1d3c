// Package onetimetest is the signature index in memory, for tests: a versioned
// store that polices the one-time rule, an index over it whose every request can
// be made to fail, and a clock, entropy and presigner that can be repeated.
package onetimetest

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/onetime"
)

// Reporter is the part of testing.TB by which a Store reports what must not happen.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Entry is one version of an object, or one delete marker over it.
type Entry struct {
	ID           string         // version id, set by the store
	Reason       onetime.Reason // metadata of an expired entry
	Body         []byte
	ETag         string // without quotes; "": the MD5 of Body
	DeleteMarker bool
	Modified     time.Time // by Store.Clock, set by the store
}

// Store is a bucket with versions: linearizable, ordered by writes and not by
// times. It reports a current expired entry that is overwritten, and a valid entry
// that changes.
type Store struct {
	// Unversioned: writes get no version id, as on a bucket without versioning.
	Unversioned bool
	// Opaque: ETags of parts, and of objects made of parts, are not made of MD5s, as on a bucket
	// that encrypts with a key of KMS.
	Opaque bool
	// Clock, if set, gives every write its time.
	Clock onetime.Clock
	// Version, if set, gives a version its id, and is told the one that it would have.
	Version func(key string, entry Entry, id string) string

	t       Reporter
	mu      sync.Mutex
	lastID  int
	objects map[string][]Entry // oldest first
	sorted  []string           // keys of objects; nil when one has come since
	uploads map[string]*upload // multipart uploads under way, by upload id
}

// NewStore returns an empty store that reports to t.
func NewStore(t Reporter) *Store {
	return &Store{t: t, objects: map[string][]Entry{}, uploads: map[string]*upload{}}
}

// Put writes a version. With ifAbsent it does so only where no current version
// exists (a delete marker is none), and otherwise returns ok false.
func (s *Store) Put(key string, entry Entry, ifAbsent bool) (version string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, exists := s.current(key)
	if exists && ifAbsent {
		return "", false
	}
	if exists {
		s.t.Helper()
		switch {
		case strings.HasPrefix(key, onetime.ID("").ExpiredKey()):
			s.t.Errorf("%s is overwritten: %s becomes %s", key, current.Body, entry.Body)
		case strings.HasPrefix(key, onetime.ID("").ValidKey()) && !bytes.Equal(current.Body, entry.Body):
			s.t.Errorf("%s changes: %s becomes %s", key, current.Body, entry.Body)
		}
	}
	return s.put(key, entry), true
}

// Overwrite writes a version as somebody would who does not keep to the rule. It
// is not policed.
func (s *Store) Overwrite(key string, entry Entry) (version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, entry)
}

// Delete puts a delete marker over the object.
func (s *Store) Delete(key string) (version string) {
	return s.Overwrite(key, Entry{DeleteMarker: true})
}

// update writes the version that f makes of the current one, or none.
func (s *Store) update(key string, f func(current Entry, exists bool) *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry := f(s.current(key)); entry != nil {
		s.put(key, *entry)
	}
}

// DeleteVersion removes one version, or one delete marker, for good.
func (s *Store) DeleteVersion(key, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = slices.DeleteFunc(s.objects[key], func(e Entry) bool { return e.ID == version })
}

// Current returns the current version. There is none under a delete marker, nor
// where nothing was ever written; hidden tells the two apart.
func (s *Store) Current(key string) (current Entry, exists, hidden bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, exists = s.current(key)
	return current, exists, !exists && len(s.objects[key]) > 0
}

// Versions returns versions and delete markers, newest first, as S3 lists them.
func (s *Store) Versions(key string) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := slices.Clone(s.objects[key])
	slices.Reverse(versions)
	return versions
}

// Keys returns the sorted keys of everything that was ever written.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys())
}

// List returns the current versions of at most n keys after the given one that
// begin with prefix, in key order, and whether there are more.
func (s *Store) List(prefix, after string, n int) (keys []string, current []Entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.keys()
	i, found := slices.BinarySearch(all, max(prefix, after))
	if found && after >= prefix {
		i++
	}
	for _, key := range all[i:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		entry, exists := s.current(key)
		switch {
		case !exists:
		case len(keys) == n:
			return keys, current, true
		default:
			keys, current = append(keys, key), append(current, entry)
		}
	}
	return keys, current, false
}

func (s *Store) keys() []string {
	if s.sorted == nil {
		s.sorted = slices.Sorted(maps.Keys(s.objects))
	}
	return s.sorted
}

func (s *Store) current(key string) (Entry, bool) {
	versions := s.objects[key]
	if len(versions) == 0 || versions[len(versions)-1].DeleteMarker {
		return Entry{}, false
	}
	return versions[len(versions)-1], true
}

func (s *Store) put(key string, entry Entry) string {
	if s.objects[key] == nil {
		s.sorted = nil
	}
	if s.Clock != nil {
		entry.Modified = s.Clock.Now()
	}
	if s.Unversioned {
		s.objects[key] = []Entry{entry}
		return ""
	}
	s.lastID++
	entry.ID = "v" + strconv.Itoa(s.lastID)
	if s.Version != nil {
		entry.ID = s.Version(key, entry, entry.ID)
	}
	s.objects[key] = append(s.objects[key], entry)
	return entry.ID
}
