package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oncegate/internal/config"
	"oncegate/internal/localedge"
)

// localCredentials are those of the local bucket: made once, then kept with it.
func localCredentials(data string) (localedge.Credentials, error) {
	type file struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
	}
	path := filepath.Join(data, "credentials.json")
	text, err := os.ReadFile(path)
	var f file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f = file{"LOCAL" + rand.Text()[:15], secret()}
		if text, err = json.Marshal(f); err != nil {
			return localedge.Credentials{}, err
		}
		if err := writePrivate(path, text); err != nil {
			return localedge.Credentials{}, err
		}
	case err != nil:
		return localedge.Credentials{}, err
	default:
		// What the file holds is not for an error message.
		if json.Unmarshal(text, &f) != nil || f.AccessKeyID == "" || f.SecretAccessKey == "" {
			return localedge.Credentials{}, fmt.Errorf("%s cannot be read as credentials: remove %s, and with it the local bucket", path, data)
		}
	}
	return localedge.Credentials{AccessKeyID: f.AccessKeyID, SecretAccessKey: f.SecretAccessKey}, nil
}

// secret has the length of AWS's secret access keys.
func secret() string {
	b := make([]byte, 30)
	rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// writeEnv writes the file that a shell reads to reach the bucket.
func writeEnv(data, host, s3 string, conf config.Config, keys localedge.Credentials) (string, error) {
	var b strings.Builder
	for _, v := range [][2]string{
		{"ONCEGATE_URL", "http://" + host},
		{"AWS_ENDPOINT_URL_S3", s3},
		{"AWS_ACCESS_KEY_ID", keys.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey},
		{"AWS_REGION", conf.Region},
		{"ONCEGATE_BUCKET", conf.Bucket},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	path := filepath.Join(data, "env")
	return path, writePrivate(path, []byte(b.String()))
}

// writePrivate replaces a file by one that only its owner can read. It is never
// there half-written.
func writePrivate(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
