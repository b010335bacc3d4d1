package pushserver_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/paylogic/pushserver"

// arrows says what each folder, with all below it, never imports of this
// module: imports point from cmd to api, from there to keys, from there to auth,
// streams and ratelimit, and no further but to internal. "." is the package in the root
// alone.
var arrows = []struct {
	folder string
	never  []string
}{
	{"cmd", []string{"test"}},
	{"cmd/pushserver", []string{"internal/redistest", "api/conform"}},
	{"api", []string{"cmd", "test", "internal/redistest", "api/conform"}},
	{"api/catalog", []string{"api"}},
	{"api/cloudevents", []string{"api"}},
	{"api/describe", []string{"auth", "streams", "ratelimit"}},
	{"api/conform", []string{"api"}},
	{"api/transport", []string{".", "api", "auth"}},
	{"api/client", []string{".", "api", "auth", "ratelimit"}},
	{"auth", []string{".", "cmd", "test", "api", "streams", "ratelimit"}},
	{"ratelimit", []string{".", "cmd", "test", "api", "streams", "auth"}},
	{"ratelimit/policy", []string{"ratelimit", "internal"}},
	{"streams", []string{".", "cmd", "test", "api", "auth", "ratelimit"}},
	{"internal", []string{".", "cmd", "test", "api", "auth", "streams", "ratelimit"}},
	{"internal/rediscluster", []string{"internal/redistest"}},
	{"streams/filter", []string{"streams"}},
	{"streams/sse", []string{"streams"}},
}

// leaves are packages that a folder may import although arrows names the folder
// above them.
var leaves = map[string][]string{
	"auth": {"ratelimit/policy", "streams/filter"},
}

// outside says which files alone may import something from outside.
var outside = []struct {
	imported string
	may      func(file string) bool
	who      string
}{
	{"github.com/redis/go-redis", func(file string) bool {
		return strings.HasPrefix(path.Base(file), "redis") ||
			within(file, "internal/redistest") || within(file, "internal/rediscluster")
	}, "files named redis*.go"},
	{"go.etcd.io/bbolt", func(file string) bool {
		return strings.HasPrefix(path.Base(file), "bolt") || within(file, "internal/boltfile")
	}, "files named bolt*.go"},
	{"net/http", func(file string) bool {
		return within(file, "api") || within(file, "cmd") || within(file, "test")
	}, "api, cmd and test"},
}

// machines are the state machines, with the at most two files that have the methods
// of each.
var machines = []struct {
	folder, name string
	files        [2]string
}{
	{"streams", "Subscription", [2]string{"subscription.go", "reader.go"}},
	{"streams", "tail", [2]string{"tail.go"}},
	{"streams", "Hub", [2]string{"hub.go", "history.go"}},
}

const (
	mostLines         = 400 // of a file
	mostFunctionLines = 60
	mostFiles         = 30 // of a folder, other than tests
)

var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "impl", "misc"}

// The folders are read file by file, not asked of the go command, which leaves
// out the files of other systems.
func TestHouseRulesHold(t *testing.T) {
	found := 0
	folders := make(map[string]int) // Go files other than tests
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		found++
		if !strings.HasSuffix(name, "_test.go") {
			folders[path.Dir(file)]++
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, offence := range offences(file, source) {
			t.Errorf("%s %s", file, offence)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, offence := range crowded(folders) {
		t.Error(offence)
	}
	if found == 0 {
		t.Error("no Go file was found: the test looks in the wrong place")
	}
}

func TestHouseRulesBite(t *testing.T) {
	imports := func(path string) string { return "package x\nimport _ \"" + path + "\"\n" }
	tests := []struct {
		file, source, want string // want is "" where the file is fine
	}{
		{"cmd/pushserver/main.go", imports(module + "/api"), ""},
		{"api/web/page.go", imports(module + "/streams/sse"), ""},
		{"api/server.go", imports(module), ""},
		{"streams/hub.go", imports(module + "/streams/filter"), ""},
		{"cmd/pushbench/cluster.go", imports(module + "/internal/redistest"), ""},
		{"auth/store_test.go", imports(module + "/internal/redistest"), ""},
		{"api/server.go", imports(module + "/cmd/pushserver"), "api never imports cmd"},
		{"api/catalog/file.go", imports(module + "/streams/filter"), ""},
		{"api/catalog/file.go", imports(module + "/api"), "api/catalog never imports api"},
		{"api/catalog/compat/compat.go", imports(module + "/api/catalog"), ""},
		{"api/catalog/compat/compat.go", imports(module + "/api/describe"), "api/catalog never imports api"},
		{"api/cloudevents/draft.go", imports(module + "/api/keys"), "api/cloudevents never imports api"},
		{"api/describe/compose.go", imports(module + "/auth"), "api/describe never imports auth"},
		{"api/server.go", imports(module + "/api/conform"), "api never imports"},
		{"api/transport/serve.go", imports(module + "/streams"), ""},
		{"api/transport/serve.go", imports(module + "/auth"), "api/transport never imports"},
		{"api/transport/serve.go", imports(module + "/api/keys"), "api/transport never imports"},
		{"auth/key.go", imports(module + "/streams"), "auth never imports"},
		{"auth/key.go", imports(module + "/streams/filter"), ""},
		{"auth/deep/key.go", imports(module + "/streams/eventlog"), "auth never imports"},
		{"auth/key.go", imports(module + "/ratelimit/policy"), ""},
		{"auth/key.go", imports(module + "/ratelimit"), "auth never imports"},
		{"ratelimit/policy/parse.go", imports(module + "/ratelimit"), "ratelimit/policy never imports"},
		{"ratelimit/redis.go", imports(module + "/auth"), "ratelimit never imports"},
		{"streams/log.go", imports(module + "/api"), "streams never imports"},
		{"streams/log.go", imports(module + "/test/stand"), "streams never imports"},
		{"test/stand/process.go", imports("net/http"), ""},
		{"streams/filter/glob.go", imports(module + "/streams"), "streams/filter never imports"},
		{"streams/sse/event.go", imports(module), "streams never imports ."},
		{"cmd/pushserver/dev.go", imports(module + "/internal/redistest"), "cmd/pushserver never imports internal/redistest"},

		{"streams/eventlog/redis_read.go", imports("github.com/redis/go-redis/v9"), ""},
		{"internal/redistest/node.go", imports("github.com/redis/go-redis/v9"), ""},
		{"internal/rediscluster/client.go", imports("github.com/redis/go-redis/v9/maintnotifications"), ""},
		{"internal/rediscluster/client.go", imports(module + "/streams/eventlog"), "internal never imports"},
		{"internal/rediscluster/client.go", imports(module), "internal never imports ."},
		{"internal/rediscluster/client.go", imports(module + "/internal/redistest"), "internal/rediscluster never imports"},
		{"internal/redistest/node.go", imports(module + "/internal/rediscluster"), ""},
		{"internal/boltfile/file.go", imports("github.com/redis/go-redis/v9"), "only files named redis*.go"},
		{"auth/record.go", imports("github.com/redis/go-redis/v9"), "only files named redis*.go"},
		{"auth/redis.go", imports(module + "/internal/rediscluster"), ""},
		{"streams/log.go", imports("github.com/redis/go-redis/v9/internal"), "only files named redis*.go"},
		{"auth/bolt.go", imports(module + "/internal/boltfile"), ""},
		{"internal/boltfile/file.go", imports(module + "/streams"), "internal never imports"},
		{"internal/boltfile/file.go", imports("go.etcd.io/bbolt"), ""},
		{"streams/eventlog/bolt_read.go", imports("go.etcd.io/bbolt"), ""},
		{"streams/eventlog/memory.go", imports("go.etcd.io/bbolt"), "only files named bolt*.go"},
		{"streams/writer.go", imports("net/http"), "only api, cmd and test"},
		{"streams/writer.go", imports("net/http/httptrace"), "only api, cmd and test"},
		{"api/server.go", imports("net/http"), ""},

		{"auth/util/key.go", "package util", "says nothing"},
		{"auth/helpers.go", "package auth", "says nothing"},
		{"internal/pkg/log/log.go", "package log", "says nothing"},
		{"auth/key.go", "package auth\n" + strings.Repeat("\n", mostLines), "401 lines"},
		{"auth/key.go", "package auth\n" + strings.Repeat("\n", mostLines-1), ""},
		{"auth/key_test.go", "package auth\n" + strings.Repeat("\n", mostLines), ""},
		{"auth/key.go", "package auth\nfunc f() {\n" + strings.Repeat("\n", mostFunctionLines-1) + "}", "a function of 61 lines"},
		{"auth/key.go", "package auth\nfunc f() {\n" + strings.Repeat("\n", mostFunctionLines-2) + "}", ""},
		{"auth/key_test.go", "package auth\nfunc f() {\n" + strings.Repeat("\n", mostFunctionLines-1) + "}", ""},
		{"auth/key.go", "package auth\nfunc f() { os.Exit(1) }", "os.Exit"},
		{"auth/key.go", "package auth\nfunc f() { log.Fatalf(\"\") }", "log.Fatalf"},
		{"cmd/pushserver/main.go", "package main\nfunc f() { os.Exit(1) }", ""},

		{"streams/reader.go", "package streams\nfunc (s *Subscription) run() {}", ""},
		{"streams/hub.go", "package streams\nfunc (h Hub) run() {}", ""},
		{"streams/snapshot.go", "package streams\nfunc (s *snapshot) run() {}", ""},
		{"streams/sse/decoder.go", "package sse\nfunc (h *Hub) run() {}", ""},
		{"streams/heartbeat.go", "package streams\nfunc (s *Subscription) beat() {}", "a method of Subscription"},
		{"streams/snapshot.go", "package streams\nfunc (t tail) load() {}", "a method of tail"},
		{"streams/fanout.go", "package streams\nfunc (*Hub) fanOut() {}", "a method of Hub"},
	}
	for _, test := range tests {
		got := strings.Join(offences(test.file, []byte(test.source)), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s with %.60q: got %q, want %q", test.file, test.source, got, test.want)
		}
	}
}

func TestFolderRuleBites(t *testing.T) {
	got := crowded(map[string]int{"api": mostFiles, "auth": mostFiles + 1, "streams": 1})
	if len(got) != 1 || !strings.Contains(got[0], "auth has 31 Go files") {
		t.Errorf("got %q, want auth alone", got)
	}
}

// crowded returns the folders that hold too many Go files.
func crowded(folders map[string]int) []string {
	var found []string
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if n := folders[folder]; n > mostFiles {
			found = append(found, fmt.Sprintf("%s has %d Go files besides tests, more than %d: split it by noun", folder, n, mostFiles))
		}
	}
	return found
}

// offences returns what a Go file does against the rules of the house.
func offences(file string, source []byte) []string {
	positions := token.NewFileSet()
	tree, err := parser.ParseFile(positions, file, source, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for part := range strings.SplitSeq(strings.TrimSuffix(file, ".go"), "/") {
		if slices.Contains(emptyNames, part) {
			found = append(found, fmt.Sprintf("has a name that says nothing: %s", part))
		}
	}
	if within(file, "internal/pkg") {
		found = append(found, "has a name that says nothing: internal/pkg")
	}
	if strings.HasSuffix(file, "_test.go") {
		return found
	}
	if lines := strings.Count(string(source), "\n"); lines > mostLines {
		found = append(found, fmt.Sprintf("has %d lines, more than %d: split it by noun", lines, mostLines))
	}
	found = append(found, longFunctions(positions, tree)...)
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			found = append(found, err.Error())
			continue
		}
		found = append(found, wrongImports(file, imported)...)
	}
	if !within(file, "cmd") {
		found = append(found, exits(tree)...)
	}
	return append(found, scattered(file, tree)...)
}

// scattered finds the methods of a state machine that are in another file.
func scattered(file string, tree *ast.File) []string {
	var found []string
	for _, declaration := range tree.Decls {
		method, ok := declaration.(*ast.FuncDecl)
		if !ok || method.Recv == nil {
			continue
		}
		receiver := method.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		name, ok := receiver.(*ast.Ident)
		if !ok {
			continue
		}
		for _, m := range machines {
			if path.Dir(file) == m.folder && name.Name == m.name && !slices.Contains(m.files[:], path.Base(file)) {
				found = append(found, fmt.Sprintf("has a method of %s, %s: only %s may", m.name, method.Name.Name,
					strings.TrimSpace(strings.Join(m.files[:], " "))))
			}
		}
	}
	return found
}

func wrongImports(file, imported string) []string {
	var found []string
	if folder, ours := folderOf(imported); ours {
		for _, rule := range arrows {
			never := slices.ContainsFunc(rule.never, func(f string) bool {
				own := within(rule.folder, f) && within(folder, rule.folder)
				return within(folder, f) && !own
			})
			if never && within(file, rule.folder) && !slices.Contains(leaves[rule.folder], folder) {
				found = append(found, fmt.Sprintf("imports %s: %s never imports %s",
					imported, rule.folder, strings.Join(rule.never, ", ")))
			}
		}
	}
	for _, rule := range outside {
		if within(imported, rule.imported) && !rule.may(file) {
			found = append(found, fmt.Sprintf("imports %s: only %s may", imported, rule.who))
		}
	}
	return found
}

// longFunctions finds functions over the limit, from their first line to the last.
func longFunctions(positions *token.FileSet, tree *ast.File) []string {
	var found []string
	for _, declaration := range tree.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := positions.Position(function.End()).Line - positions.Position(function.Pos()).Line + 1
		if lines > mostFunctionLines {
			found = append(found, fmt.Sprintf("has a function of %d lines, more than %d: %s", lines, mostFunctionLines, function.Name.Name))
		}
	}
	return found
}

// exits finds the calls that end the program, which is for cmd to decide.
func exits(tree *ast.File) []string {
	var found []string
	ast.Inspect(tree, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		call := from.Name + "." + selector.Sel.Name
		if call == "os.Exit" || strings.HasPrefix(call, "log.Fatal") {
			found = append(found, fmt.Sprintf("uses %s: only cmd ends the program", call))
		}
		return true
	})
	return found
}

// folderOf returns the folder of an imported package of this module.
func folderOf(imported string) (folder string, ours bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func within(file, folder string) bool {
	return file == folder || strings.HasPrefix(file, folder+"/")
}
