package log

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"sync"
)

// Hidden stands in the place of a secret.
const Hidden = "***"

// minCore is how many base64 characters of a secret inside a longer text must
// be certain before they are hidden: fewer would hit innocent words.
const minCore = 8

// Redactor hides secrets in whatever is about to be published. It is safe for
// concurrent use.
type Redactor struct {
	mu    sync.RWMutex
	known map[string]bool
	// forms are all spellings of all secrets, longest first, so that a secret
	// that contains another is hidden whole.
	forms []string
	// tokens matches what nobody can register, because OpenStack makes it up
	// during the run.
	tokens *regexp.Regexp
}

// fernetToken is a keystone token, or anything else that Fernet encrypts: base64
// of a version byte of 0x80 and a time that begins with zeros (Fernet
// specification, "Token Format").
const fernetToken = `gAAAA[A-Za-z0-9_-]{40,}=*`

// NewRedactor makes one that knows these secrets.
func NewRedactor(secrets ...string) *Redactor {
	r := &Redactor{known: map[string]bool{}, tokens: regexp.MustCompile(fernetToken)}
	r.Add(secrets...)
	return r
}

// Add registers secrets. Empty ones are ignored.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for _, form := range spellings(secret) {
			if !r.known[form] {
				r.known[form] = true
				r.forms = append(r.forms, form)
			}
		}
	}
	sort.SliceStable(r.forms, func(i, j int) bool { return len(r.forms[i]) > len(r.forms[j]) })
}

// String returns text with every secret and every token hidden.
func (r *Redactor) String(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, form := range r.forms {
		text = strings.ReplaceAll(text, form, Hidden)
	}
	return r.tokens.ReplaceAllString(text, Hidden)
}

// Bytes returns text with every secret and every token hidden; text itself is
// not changed.
func (r *Redactor) Bytes(text []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, form := range r.forms {
		text = bytes.ReplaceAll(text, []byte(form), []byte(Hidden))
	}
	return r.tokens.ReplaceAll(text, []byte(Hidden))
}

// spellings are the ways in which a secret turns up in logs: as it is, as part
// of a URL, of JSON, of XML or HTML, of base64 (an Authorization header holds
// user:password, so the secret may start at any of three offsets).
func spellings(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), lower(url.QueryEscape(secret)), lower(url.PathEscape(secret)), html.EscapeString(secret)}
	for _, once := range []string{jsonForm(secret, true), jsonForm(secret, false)} {
		// Twice: a JSON body, quoted in a line of our JSON log.
		all = append(all, once, jsonForm(once, false))
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, encoding.EncodeToString([]byte(secret)))
		for offset := range 3 {
			if core := base64Core(encoding, secret, offset); len(core) >= minCore {
				all = append(all, core)
			}
		}
	}
	seen := map[string]bool{}
	var unique []string
	for _, form := range all {
		if form != "" && !seen[form] {
			seen[form] = true
			unique = append(unique, form)
		}
	}
	return unique
}

// jsonForm is the secret inside a JSON string; some writers escape < > &, too.
func jsonForm(secret string, escapeHTML bool) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	if err := encoder.Encode(secret); err != nil {
		return ""
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

// base64Core is the part of the encoding that depends on the secret alone when
// offset bytes (modulo 3) stand before it and anything follows.
func base64Core(encoding *base64.Encoding, secret string, offset int) string {
	text := encoding.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, offset), secret...))
	start := []int{0, 2, 3}[offset] // characters that hold bits of what stands before
	end := (offset + len(secret)) * 8 / 6
	if start >= end {
		return ""
	}
	return text[start:end]
}

// lower turns %2F into %2f, as some clients spell it.
func lower(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}
