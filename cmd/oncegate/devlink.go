package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/config"
	"oncegate/internal/invite"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local"
)

// What the invitation is for with which one tries the page.
const (
	devUploads = 20
	devLife    = 24 * time.Hour
)

// devLink makes an invitation and says where the page is, or returns "" if there is none.
func devLink(ctx context.Context, conf config.Config, at local.Addresses, keys sigv4.Credentials) (string, error) {
	if !conf.Page.On {
		return "", nil
	}
	s := site{bucket: conf.Bucket, region: conf.Region, endpoint: at.S3, tableEndpoint: at.Table, index: conf.Index, conf: &conf}
	keeper := newKeeper(s.openStore(credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, "")).index)
	keeper.Keep = conf.Deploy.KeepsEntries()
	token, _, _, err := keeper.Create(ctx, invite.Record{Label: "make dev", Uploads: devUploads, Expires: time.Now().Add(devLife)}, time.Now().Add(10*time.Second))
	if err != nil {
		return "", fmt.Errorf("make an invitation: %w", err)
	}
	return fmt.Sprintf("\nOr in a browser, with an invitation for %d files that lasts a day:\n\n    %s\n", devUploads, invite.Link(at.Edge, token)), nil
}
