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
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local"
)

// localCredentials are those of the local bucket: made once, then kept with it.
func localCredentials(data string) (sigv4.Credentials, error) {
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
			return sigv4.Credentials{}, err
		}
		if err := writePrivate(path, text); err != nil {
			return sigv4.Credentials{}, err
		}
	case err != nil:
		return sigv4.Credentials{}, err
	default:
		// What the file holds is not for an error message.
		if json.Unmarshal(text, &f) != nil || f.AccessKeyID == "" || f.SecretAccessKey == "" {
			return sigv4.Credentials{}, fmt.Errorf("%s cannot be read as credentials: remove %s, and with it the local bucket", path, data)
		}
	}
	return sigv4.Credentials{AccessKeyID: f.AccessKeyID, SecretAccessKey: f.SecretAccessKey}, nil
}

// localParameters are those of the local Systems Manager: the secret of the webhook's
// signatures, made once, then kept.
func localParameters(data string, conf config.Config) (map[string]string, error) {
	name := conf.Acceptance.Webhook.Secret
	if name == "" {
		return nil, nil
	}
	path := filepath.Join(data, "webhook-secret")
	value, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		value = []byte("whsec_" + base64.StdEncoding.EncodeToString(random(32)))
		err = writePrivate(path, value)
	}
	return map[string]string{name: string(value)}, err
}

// secret has the length of AWS's secret access keys.
func secret() string { return base64.RawURLEncoding.EncodeToString(random(30)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

// envPath is the file that a shell reads to reach the local edge and its bucket.
func envPath(data string) string { return filepath.Join(data, "env") }

// writeEnv writes the file of envPath.
func writeEnv(data string, at local.Addresses, conf config.Config, keys sigv4.Credentials, parameters map[string]string) error {
	var b strings.Builder
	variables := [][2]string{
		{"ONCEGATE_URL", at.Edge},
		{"AWS_ENDPOINT_URL_S3", at.S3},
		{"AWS_ACCESS_KEY_ID", keys.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey},
		{"AWS_SESSION_TOKEN", ""}, // of other credentials, which the shell may have had
		{"AWS_REGION", conf.Region},
		{"ONCEGATE_BUCKET", conf.Bucket},
		{"ONCEGATE_INDEX", conf.Index},
	}
	if at.Table != "" {
		variables = append(variables, [2]string{"AWS_ENDPOINT_URL_DYNAMODB", at.Table})
	}
	if at.API != "" {
		variables = append(variables, [2]string{"AWS_ENDPOINT_URL_SQS", at.API})
	}
	for _, value := range parameters {
		variables = append(variables, [2]string{"ONCEGATE_WEBHOOK_SECRET", value})
	}
	for _, v := range variables {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return writePrivate(envPath(data), []byte(b.String()))
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
