package auth

import (
	"net/url"
	"strings"
	"testing"
)

func TestOriginIsExactlyWhatABrowserSends(t *testing.T) {
	for _, origin := range []string{
		"https://shop.example", "http://shop.example", "https://shop.example:8443", "http://localhost:3000",
		"https://xn--mnchen-3ya.example", "http://127.0.0.1:8080", "http://[::1]:3000", "http://[2001:db8::1]",
		"https://a_b.example", "http://shop.example:443",
	} {
		if !ValidOrigin(origin) {
			t.Errorf("%q is refused", origin)
		}
		if !(&Key{Origins: []string{origin}}).AllowsOrigin(origin) {
			t.Errorf("%q is not allowed, though it is listed", origin)
		}
	}
	for _, origin := range []string{
		"", "null", "*", "shop.example", "//shop.example", "https://", "https:///", "https://shop.example/",
		"https://shop.example/a", "https://shop.example?a", "https://shop.example#a", "https://a@shop.example",
		"https://Shop.example", "HTTPS://shop.example", "https://shop.example:443", "http://shop.example:80",
		"https://shop.example:", "https://shop.example:0", "https://shop.example:08", "https://shop.example:65536",
		"https://shop.example:a", "https://*.example", "https://shop..example", "https://-shop.example",
		"https://shop.example ", " https://shop.example", "https://shop.example\n", "https://münchen.example",
		"ftp://shop.example", "file://", "javascript://shop.example", "https://shop.example:1:2",
		"http://[::1", "http://::1]", "http://[::1]x", "http://[0:0:0:0:0:0:0:1]", "http://[fe80::1%25eth0]",
		"http://[127.0.0.1]", "https://.", "https://" + strings.Repeat("a", MaxOriginLen),
	} {
		if ValidOrigin(origin) {
			t.Errorf("%q passes", origin)
		}
	}
}

func TestOriginsAreComparedExactly(t *testing.T) {
	key := &Key{Origins: []string{"https://shop.example"}}
	for _, origin := range []string{
		"null", "", "https://shop.example.evil", "https://evilshop.example", "http://shop.example",
		"https://shop.example:8443", "https://SHOP.example", "https://shop.example/",
	} {
		if key.AllowsOrigin(origin) {
			t.Errorf("%q is allowed beside %q", origin, key.Origins)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://shop.example:8443")
	f.Add("http://[::1]:3000")
	f.Fuzz(func(t *testing.T, origin string) {
		if !ValidOrigin(origin) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin || u.Host != strings.ToLower(u.Host) || u.Hostname() == "" {
			t.Fatalf("%q passes, and is %+v (%v)", origin, u, err)
		}
	})
}
