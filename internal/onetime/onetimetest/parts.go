package onetimetest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// upload is a multipart upload that is under way.
type upload struct {
	key     string
	headers map[string]string
	parts   map[int][]byte
}

var _ onetime.PartStore = (*Index)(nil)

// PutPart stores a part as S3 does for who was let through. It returns false if there is
// no such upload (any more).
func (s *Store) PutPart(id string, number int, body []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u != nil {
		u.parts[number] = body
	}
	return u != nil
}

// Uploads returns the ids of the multipart uploads that are under way, in order.
func (s *Store) Uploads() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.uploads))
}

// UploadHeaders are those that the object of this multipart upload is to have.
func (s *Store) UploadHeaders(id string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads[id].headers
}

// CreateUpload implements onetime.PartStore.
func (x *Index) CreateUpload(_ context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (id string, err error) {
	err = x.do("CreateUpload", limit, "", func() error {
		s := x.Store
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lastID++
		id = "upload" + strconv.Itoa(s.lastID)
		all := maps.Clone(headers)
		maps.Copy(all, signed)
		for name, value := range metadata {
			all["x-amz-meta-"+name] = value
		}
		s.uploads[id] = &upload{key, all, map[int][]byte{}}
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// WriteParts implements onetime.PartStore.
func (x *Index) WriteParts(_ context.Context, limit time.Duration, id onetime.ID, body []byte) error {
	return x.do("WriteParts", limit, id, func() error {
		if _, ok := x.Store.Put(id.PartsKey(), Entry{Body: body}, true); !ok {
			return onetime.ErrExists
		}
		return nil
	})
}

// ReadParts implements onetime.PartStore.
func (x *Index) ReadParts(_ context.Context, limit time.Duration, id onetime.ID) (body []byte, err error) {
	err = x.do("ReadParts", limit, id, func() error {
		entry, exists, _ := x.Store.Current(id.PartsKey())
		if !exists {
			return onetime.ErrAbsent
		}
		body = entry.Body
		return nil
	})
	return body, err
}

// ListParts implements onetime.PartStore.
func (x *Index) ListParts(_ context.Context, limit time.Duration, key, id string) (parts []onetime.StoredPart, err error) {
	err = x.do("ListParts", limit, "", func() error {
		s := x.Store
		s.mu.Lock()
		defer s.mu.Unlock()
		u := s.uploads[id]
		if u == nil || u.key != key {
			return onetime.ErrAbsent
		}
		for _, number := range slices.Sorted(maps.Keys(u.parts)) {
			parts = append(parts, s.part(number, u.parts[number]))
		}
		return nil
	})
	return parts, err
}

// CompleteUpload implements onetime.PartStore.
func (x *Index) CompleteUpload(_ context.Context, limit time.Duration, key, id string, parts []onetime.StoredPart) (etag, crc64nvme string, err error) {
	err = x.do("CompleteUpload", limit, "", func() error {
		s := x.Store
		s.mu.Lock()
		defer s.mu.Unlock()
		u := s.uploads[id]
		if u == nil || u.key != key {
			return onetime.ErrAbsent
		}
		var body bytes.Buffer
		var sums []byte
		for _, named := range parts {
			content, ok := u.parts[named.Number]
			if there := s.part(named.Number, content); !ok || there != named {
				return onetime.ErrParts
			}
			body.Write(content)
			sum := md5.Sum(content)
			sums = append(sums, sum[:]...)
		}
		if _, exists := s.current(key); exists {
			return onetime.ErrExists
		}
		etag = s.etag(sums) + "-" + strconv.Itoa(len(parts))
		s.put(key, Entry{Body: body.Bytes(), ETag: etag})
		delete(s.uploads, id)
		crc64nvme = CRC64NVME(body.Bytes())
		return nil
	})
	return etag, crc64nvme, err
}

// CRC64NVME is the checksum that S3 gives to objects by default, in base64.
func CRC64NVME(b []byte) string {
	sum := crc64.Checksum(b, crc64.MakeTable(0x9a6c9329ac4bc9b5))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// AbortUpload implements onetime.PartStore.
func (x *Index) AbortUpload(_ context.Context, limit time.Duration, key, id string) error {
	return x.do("AbortUpload", limit, "", func() error {
		s := x.Store
		s.mu.Lock()
		defer s.mu.Unlock()
		if u := s.uploads[id]; u != nil && u.key == key {
			delete(s.uploads, id)
		}
		return nil
	})
}

// FindObject implements onetime.PartStore.
func (x *Index) FindObject(_ context.Context, limit time.Duration, key string) (size int64, tag string, err error) {
	err = x.do("FindObject", limit, "", func() error {
		entry, exists, _ := x.Store.Current(key)
		if !exists {
			return onetime.ErrAbsent
		}
		size, tag = int64(len(entry.Body)), strings.Trim(etag(entry), `"`)
		return nil
	})
	return size, tag, err
}

var _ onetime.PartLedger = (*Index)(nil)

// ListPartsEntry implements onetime.PartLedger.
func (x *Index) ListPartsEntry(_ context.Context, limit time.Duration, id onetime.ID) (versions []onetime.Version, err error) {
	err = x.do("ListPartsEntry", limit, id, func() error {
		for _, entry := range x.Store.Versions(id.PartsKey()) {
			versions = append(versions, onetime.Version{ID: entry.ID, DeleteMarker: entry.DeleteMarker})
		}
		return nil
	})
	return versions, err
}

// DeletePartsEntry implements onetime.PartLedger.
func (x *Index) DeletePartsEntry(_ context.Context, limit time.Duration, id onetime.ID, version string) error {
	return x.call(Call{Op: "DeletePartsEntry", N: 1, ID: id, Limit: limit, Version: version}, func() error {
		x.Store.DeleteVersion(id.PartsKey(), version)
		return nil
	})
}

func (s *Store) part(number int, content []byte) onetime.StoredPart {
	return onetime.StoredPart{Number: number, Size: int64(len(content)), ETag: s.etag(content)}
}

// etag is the one that S3 gives this content.
func (s *Store) etag(content []byte) string {
	if s.Opaque {
		content = append([]byte("encrypted "), content...)
	}
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}
