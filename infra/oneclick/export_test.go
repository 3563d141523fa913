package oneclick

// Sample is what stands for the parameter while the template is synthesised.
func Sample(p Parameter) string { return p.sample }
