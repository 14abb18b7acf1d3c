package verify

import (
	"context"
	"net/url"
)

// tags uploads with a URL that was minted with a tag. S3 takes no upload without a header that
// was signed, so one that it stores had it.
func (r *run) tags(ctx context.Context) error {
	if len(r.o.Tags) == 0 {
		return skip("no key of the setting tags is known")
	}
	pair := url.Values{r.o.Tags[0]: {"oncegate verify"}}.Encode()
	m, _, err := r.mintFor(ctx, "tags="+url.QueryEscape(pair))
	if got, refused := optionsRefused(err); refused {
		return want("a URL with a tag, as config.json says", "%s", got)
	}
	if err != nil {
		return err
	}
	a, err := r.upload(ctx, m, "tagged")
	if err != nil {
		return err
	}
	return r.uploaded(a)
}
