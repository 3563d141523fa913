package grant

// Check is a message on the check queue: look at this grant. It says nothing else, so a forged one only makes us look.
type Check struct {
	Grant Name `json:"grant"`
}
