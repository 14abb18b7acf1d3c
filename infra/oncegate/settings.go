package oncegate

import (
	"encoding/json"
	"fmt"
	"reflect"

	"oncegate/internal/config"
)

// Settings are those of config.json, under the same names; docs/configuration.md has what each
// is for, its default, and what it allows. nil is the default. Only Bucket is required.
type Settings struct {
	Bucket         *string   `json:"bucket,omitempty"`
	Region         *string   `json:"region,omitempty"`
	Expires        *float64  `json:"expires,omitempty"`
	MaxExpires     *float64  `json:"maxExpires,omitempty"`
	MaxBytes       *float64  `json:"maxBytes,omitempty"`
	MinBytes       *float64  `json:"minBytes,omitempty"`
	MaxCount       *float64  `json:"maxCount,omitempty"`
	AllowedOrigins []*string `json:"allowedOrigins,omitempty"`
	Multipart      *bool     `json:"multipart,omitempty"`
	// Auth is "none", "api-key", or what config.json has in its place, as a map.
	Auth         any       `json:"auth,omitempty"`
	OwnerAPI     *bool     `json:"ownerApi,omitempty"`
	Prefixes     []*string `json:"prefixes,omitempty"`
	Tags         []*string `json:"tags,omitempty"`
	StorageClass *string   `json:"storageClass,omitempty"`
	SHA256       *bool     `json:"sha256,omitempty"`
	WriteOnce    *bool     `json:"writeOnce,omitempty"`
	FirstVersion *string   `json:"firstVersion,omitempty"`
	Index        *string   `json:"index,omitempty"`
	Versioned    *bool     `json:"versioned,omitempty"`
	// Acceptance is true, false, or what config.json has in its place, as a map.
	Acceptance any `json:"acceptance,omitempty"`
	// Page is true, false, or what config.json has in its place, as a map.
	Page any `json:"page,omitempty"`

	Name            *string  `json:"name,omitempty"`
	ExistingBucket  *bool    `json:"existingBucket,omitempty"`
	KMSKey          *string  `json:"kmsKey,omitempty"`
	Runtime         *string  `json:"runtime,omitempty"`
	Memory          *float64 `json:"memory,omitempty"`
	Timeout         *float64 `json:"timeout,omitempty"`
	NodeRuntime     *string  `json:"nodeRuntime,omitempty"`
	RegionalMemory  *float64 `json:"regionalMemory,omitempty"`
	KeepExpiredDays *float64 `json:"keepExpiredDays,omitempty"`
	KeepUploadsDays *float64 `json:"keepUploadsDays,omitempty"`
	Domain          *string  `json:"domain,omitempty"`
	CertificateARN  *string  `json:"certificateArn,omitempty"`
	PriceClass      *string  `json:"priceClass,omitempty"`
	WAF             *bool    `json:"waf,omitempty"`
	WAFRate         *float64 `json:"wafRate,omitempty"`
	AccessLogs      *bool    `json:"accessLogs,omitempty"`
	AlarmEmail      *string  `json:"alarmEmail,omitempty"`
	AlarmFailures   *float64 `json:"alarmFailures,omitempty"`
	AlarmRefusals   *float64 `json:"alarmRefusals,omitempty"`
}

func (s Settings) isSet() bool { return !reflect.ValueOf(s).IsZero() }

// parse has package config judge the settings: what is allowed is said there alone.
func (s Settings) parse() (config.Config, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return config.Config{}, fmt.Errorf("settings: %w", err)
	}
	conf, err := config.Parse(data)
	if err != nil {
		return config.Config{}, fmt.Errorf("settings: %w", err)
	}
	return conf, nil
}
