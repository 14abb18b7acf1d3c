package container

// Concurrency is how many invocations an account may have at once in one Region, those of
// all its functions together:
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
// Nil is no bound.
type Concurrency struct{ taken chan struct{} }

// NewConcurrency is a bound of n invocations, or none if n is 0.
func NewConcurrency(n int) *Concurrency {
	if n <= 0 {
		return nil
	}
	return &Concurrency{make(chan struct{}, n)}
}

// enter counts an invocation in, unless there are as many as may be.
func (c *Concurrency) enter() bool {
	if c == nil {
		return true
	}
	select {
	case c.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

// leave counts an invocation out that has entered.
func (c *Concurrency) leave() {
	if c != nil {
		<-c.taken
	}
}
