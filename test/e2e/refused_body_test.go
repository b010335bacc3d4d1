package e2e

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

// Python's urllib reads an answer only after it has sent the whole body.
func TestUrllibSeesWhyALargeBodyIsRefused(t *testing.T) {
	dev := stand.Dev(t)
	for _, test := range []struct {
		key, want string
		size      int
	}{
		{dev.PublisherKey, "413 /problems/payload-too-large", 1 << 20},
		{dev.PublisherKey, "413 /problems/payload-too-large", 10 << 20},
		{"ps_pub_wrong", "401 /problems/invalid-token", 10 << 20},
		{dev.Keys["acme"], "403 /problems/wrong-role", 10 << 20},
	} {
		said, err := exec.CommandContext(t.Context(), "python3", "testdata/foreign/refused.py", dev.URL, test.key, strconv.Itoa(test.size)).CombinedOutput()
		if got := strings.TrimSpace(string(said)); err != nil || got != test.want {
			t.Errorf("%d bytes: urllib got %s, error %v; want %s", test.size, got, err, test.want)
		}
	}
}
