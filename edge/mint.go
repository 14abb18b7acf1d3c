package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"oncegate/internal/onetime"
)

// mint answers GET and POST /url: it makes the URLs that are asked for.
func (f *Functions) mint(ctx context.Context, c *call) (Result, error) {
	orders, err := parseOrders(&c.request, f.MaxCount)
	if err != nil {
		return Result{}, err
	}
	if c.invitation != "" && orders.count > 1 {
		// All or none would leave slots to URLs that nobody holds.
		return Result{}, refuseOption(errors.New("count: an invitation gives one URL at a time"))
	}
	urls, err := f.mintAndLog(ctx, c, orders)
	if err != nil {
		return Result{}, err
	}
	return Result{Response: c.minted(f.Scheme+"://"+c.host, urls, orders.count == 0)}, nil
}

// checkOrder answers HEAD /url, for link previews and monitors: what GET would say,
// without a URL being made. It asks S3 nothing and tells nothing but that the
// function runs, so it needs no credential.
func (f *Functions) checkOrder(_ context.Context, c *call) (Result, error) {
	orders, err := parseOrders(&c.request, f.MaxCount)
	if err != nil {
		return Result{}, err
	}
	if err := f.Minter.Check(orders.Order); err != nil {
		return Result{}, err
	}
	r := answer(statusOK, "")
	if c.asJSON {
		r.Headers.set("content-type", "application/json")
	}
	return Result{Response: r}, nil
}

// narrowed returns who mints for a credential, within what it may ask for, and the order with
// what it leaves open filled in.
func (f *Functions) narrowed(by onetime.Credential, order onetime.Order) (*onetime.Minter, onetime.Order, error) {
	if by.Allows == (onetime.Allowance{}) {
		return f.Minter, order, nil
	}
	who := "this API key"
	if by.Kind == onetime.CredentialToken {
		who = "this token"
	}
	minter := *f.Minter
	var err error
	order, minter.Bounds, err = by.Allows.Narrow(order, minter.Bounds, who)
	return &minter, order, err
}

// mintAndLog fills the orders for the client of the call.
func (f *Functions) mintAndLog(ctx context.Context, c *call, orders orders) ([]onetime.Minted, error) {
	orders.By = c.by.By()
	urls, err := f.mintAll(ctx, orders, c)
	if err != nil {
		return nil, err
	}
	for _, m := range urls {
		if c.invitation != "" {
			c.by, _ = onetime.ParseBy(m.Order.By)
		}
		line := c.logLine("minted")
		line.String("id", string(m.ID))
		line.String("key", m.Key)
		line.Time("expires", m.Expires)
		f.log(c, line)
	}
	return urls, nil
}

// mintAll fills all the orders or none: of those that were registered before one
// failed, nobody ever learns.
func (f *Functions) mintAll(ctx context.Context, o orders, c *call) ([]onetime.Minted, error) {
	minter, order, err := f.narrowed(c.by, o.Order)
	if err != nil {
		return nil, err
	}
	urls := make([]onetime.Minted, max(1, o.count))
	errs := make([]error, len(urls))
	if c.by.Allows.PerDay > 0 {
		// What would be refused anyway is not counted.
		if err := minter.Check(order); err != nil {
			return nil, err
		}
		if err := f.Quota.Take(ctx, c.by, max(1, o.count), c.deadline); err != nil {
			return nil, err
		}
	}
	mint := func(i int) {
		defer func() {
			if p := recover(); p != nil {
				errs[i] = fmt.Errorf("panic: %v", p)
			}
		}()
		if c.invitation != "" {
			urls[i], errs[i] = f.Invitations.Mint(ctx, c.invitation, order, c.deadline)
			errs[i] = refuseInvitation(errs[i])
			return
		}
		urls[i], errs[i] = minter.Mint(ctx, order, c.deadline)
	}
	var done sync.WaitGroup
	for i := 1; i < len(urls); i++ {
		done.Go(func() { mint(i) })
	}
	mint(0) // here, for the stack of a new goroutine has to grow first
	done.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return urls, nil
}
