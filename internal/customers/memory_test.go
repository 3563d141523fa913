package customers_test

import (
	"testing"

	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
)

func TestMemoryKeepsTheRegistrysContract(t *testing.T) {
	kit.Contract(t, func(*testing.T) kit.Store { return &customers.Memory{} })
}
