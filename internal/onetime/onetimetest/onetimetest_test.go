package onetimetest_test

import (
	"slices"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// reports counts what a store reports.
type reports int

func (r *reports) Helper()               {}
func (r *reports) Errorf(string, ...any) { *r++ }

func TestStorePolices(t *testing.T) {
	id := onetime.Fingerprint("/path", "query")
	for _, test := range []struct {
		name string
		do   func(*onetimetest.Store)
		want reports
	}{
		{"an expired entry overwritten", func(s *onetimetest.Store) {
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("a")}, true)
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("a")}, false)
		}, 1},
		{"an expired entry claimed twice", func(s *onetimetest.Store) {
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("a")}, true)
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("b")}, true)
		}, 0},
		{"an expired entry written under a delete marker", func(s *onetimetest.Store) {
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("a")}, true)
			s.Delete(id.ExpiredKey())
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("b")}, true)
		}, 0},
		{"a valid entry changed", func(s *onetimetest.Store) {
			s.Put(id.ValidKey(), onetimetest.Entry{Body: []byte("a")}, false)
			s.Put(id.ValidKey(), onetimetest.Entry{Body: []byte("b")}, false)
		}, 1},
		{"a valid entry written twice the same", func(s *onetimetest.Store) {
			s.Put(id.ValidKey(), onetimetest.Entry{Body: []byte("a")}, false)
			s.Put(id.ValidKey(), onetimetest.Entry{Body: []byte("a")}, false)
		}, 0},
		{"on purpose", func(s *onetimetest.Store) {
			s.Put(id.ExpiredKey(), onetimetest.Entry{Body: []byte("a")}, true)
			s.Overwrite(id.ExpiredKey(), onetimetest.Entry{Body: []byte("b")})
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got reports
			test.do(onetimetest.NewStore(&got))
			if got != test.want {
				t.Errorf("%d reports, want %d", got, test.want)
			}
		})
	}
}

func TestStoreVersions(t *testing.T) {
	s := onetimetest.NewStore(t)
	first, ok := s.Put("k", onetimetest.Entry{Body: []byte("a")}, true)
	if !ok {
		t.Fatal("a conditional put on nothing is refused")
	}
	if _, ok := s.Put("k", onetimetest.Entry{}, true); ok {
		t.Fatal("a conditional put on a current version succeeds")
	}
	marker := s.Delete("k")
	if _, exists, hidden := s.Current("k"); exists || !hidden {
		t.Errorf("under a delete marker: exists %t, hidden %t", exists, hidden)
	}
	third, ok := s.Put("k", onetimetest.Entry{Body: []byte("c")}, true)
	if !ok {
		t.Fatal("a conditional put under a delete marker is refused; S3 lets it through")
	}
	ids := func() (ids []string) {
		for _, v := range s.Versions("k") {
			ids = append(ids, v.ID)
		}
		return ids
	}
	if got, want := ids(), []string{third, marker, first}; !slices.Equal(got, want) {
		t.Errorf("versions %v, want newest first %v", got, want)
	}
	s.DeleteVersion("k", marker)
	if got, want := ids(), []string{third, first}; !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
	if _, exists, hidden := s.Current("absent"); exists || hidden {
		t.Errorf("of nothing: exists %t, hidden %t", exists, hidden)
	}
}
