package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks 1.0.0:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const (
	idHeader        = "webhook-id"
	timestampHeader = "webhook-timestamp"
	signatureHeader = "webhook-signature"
)

// The headers of before. They are deprecated.
const (
	oldDeliveryHeader  = "x-oncegate-delivery"
	oldTimestampHeader = "x-oncegate-timestamp"
	oldSignatureHeader = "x-oncegate-signature"
)

const (
	// standardPrefix begins a secret whose key is in base64. The key has 24 to 64 bytes,
	// as the specification says.
	standardPrefix      = "whsec_"
	leastKey, mostKey   = 24, 64
	leastPlainSecret    = 16 // 128 bits, if it is random
	idBytes             = 16
	versionOfSignatures = "v1"
)

// Key returns the key of webhook-signature: the bytes that a secret of the form
// whsec_<base64> encodes, or the bytes of any other secret as they are. A receiver that is
// given whsec_ and the base64 of such a secret has the same key.
func Key(secret string) ([]byte, error) {
	encoded, standard := strings.CutPrefix(secret, standardPrefix)
	if !standard {
		if len(secret) < leastPlainSecret {
			return nil, fmt.Errorf("it has %d bytes, at least %d are wanted", len(secret), leastPlainSecret)
		}
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // Go skips them, others do not
		return nil, errors.New("what follows whsec_ is not base64")
	}
	if len(key) < leastKey || len(key) > mostKey {
		return nil, fmt.Errorf("what follows whsec_ encodes %d bytes, allowed are %d to %d", len(key), leastKey, mostKey)
	}
	return key, nil
}

// ID returns the webhook-id of an acceptance, which is the same for every try and for
// every replay. It is a digest, because S3's version ids may have a dot in them, and an id
// must not: it is signed in front of one.
func ID(key, version string) string {
	sum := sha256.Sum256([]byte(key + "\n" + version))
	return "msg_" + hex.EncodeToString(sum[:idBytes])
}

// Sign returns webhook-signature for a body that is posted under this id at this time.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + seconds(at) + "."))
	h.Write(body)
	return versionOfSignatures + "," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// SignOld returns x-oncegate-signature for a body that is posted at this time. Its key is
// the whole secret, whatever its form.
func SignOld(secret string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(seconds(at) + "."))
	h.Write(body)
	return "v1=" + hex.EncodeToString(h.Sum(nil))
}

// sign sets all headers that say what a post is.
func sign(header http.Header, s signer, key, version string, at time.Time, body []byte) {
	id := ID(key, version)
	header.Set(idHeader, id)
	header.Set(timestampHeader, seconds(at))
	header.Set(signatureHeader, Sign(s.key, id, at, body))
	header.Set(oldDeliveryHeader, version)
	header.Set(oldTimestampHeader, seconds(at))
	header.Set(oldSignatureHeader, SignOld(s.secret, at, body))
}

// signer is a secret and the key that it stands for.
type signer struct {
	secret string
	key    []byte
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
