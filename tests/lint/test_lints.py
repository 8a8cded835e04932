"""Each lint flags what it is for (the positive controls), and leaves good code alone."""

import unittest

import build_lists
import coroutines
import floors
import words


class FloorsTest(unittest.TestCase):
    HEADERS = {path: "" for path in ("base/clock.h", "cache/cache.h", "upstream/client.h", "proxy/http/parser.h",
                                     "proxy/pull/fill.h", "proxy/registry/route.h", "proxy/admin/health.h")}

    def findings(self, path, *lines):
        return [str(f) for f in floors.check({**self.HEADERS, path: "\n".join(lines) + "\n"})]

    def test_bad_includes_are_flagged(self):
        for path, line in (("base/x.cc", '#include "cache/cache.h"'), ("cache/x.cc", '#include "upstream/client.h"'),
                           ("upstream/x.h", '#include "cache/cache.h"'), ("proxy/http/x.cc", '#include "proxy/registry/route.h"'),
                           ("proxy/http/x.cc", '#include "cache/cache.h"'), ("proxy/registry/x.cc", '#include "cache/cache.h"'),
                           ("proxy/pull/x.cc", '#include "proxy/http/parser.h"'), ("base/x.cc", '#include "nowhere.h"'),
                           ("proxy/x.cc", '#include "base/clock.h"'), ("cache/x.cc", "#include <uv.h>"),
                           ("proxy/pull/x.cc", "# include <lmdb.h>"), ("upstream/client.cc", "#include <curl/curl.h>"),
                           ("base/x.cc", "#include <llhttp.h>"), ("upstream/x.cc", "#include <openssl/ssl.h>")):
            with self.subTest(path=path, line=line):
                self.assertEqual(len(self.findings(path, line)), 1)

    def test_good_includes_are_not(self):
        for path, line in (("cache/x.cc", '#include "base/clock.h"'), ("proxy/pull/x.cc", '#include "upstream/client.h"'),
                           ("proxy/main.cc", '#include "proxy/registry/route.h"'), ("proxy/main.cc", "#include <uv.h>"),
                           ("proxy/registry/x.cc", '#include "proxy/pull/fill.h"'), ("base/loop/timer.cc", "#include <uv.h>"),
                           ("upstream/curl_driver.cc", "#include <curl/curl.h>"), ("upstream/curl_tls.cc", "#include <openssl/ssl.h>"),
                           ("cache/index.cc", "#include <lmdb.h>"), ("proxy/http/tls.cc", "#include <openssl/ssl.h>")):
            with self.subTest(path=path, line=line):
                self.assertEqual(self.findings(path, line), [])

    def test_a_library_belongs_to_one_pair_of_files(self):
        pair = {"cache/lmdb.h": "#include <lmdb.h>\n", "cache/lmdb.cc": "#include <lmdb.h>\n"}
        self.assertEqual(floors.check(pair), [])
        self.assertEqual(len(floors.check({**pair, "cache/other.cc": "#include <lmdb.h>\n"})), 1)


class BuildListsTest(unittest.TestCase):
    FILES = {"tests/unit/base/CMakeLists.txt": "t(base SOURCES digest_test.cc # errc_test.cc\n  task/probe_test.cc)",
             "tests/unit/base/digest_test.cc": "", "tests/unit/base/task/probe_test.cc": ""}

    def test_what_is_listed_is_fine(self):
        self.assertEqual(build_lists.check(self.FILES), [])

    def test_forgotten_or_commented_out_files_are_flagged(self):
        for path in ("tests/unit/base/errc_test.cc", "tests/unit/cache/digest_test.cc", "base/digest.cc",
                     "tests/unit/base/my_digest_test.cc"):
            with self.subTest(path):
                self.assertEqual([f.path for f in build_lists.check({**self.FILES, path: ""})], [path])


class WordsTest(unittest.TestCase):
    def findings(self, text, path="base/x.cc"):
        return words.check({path: text})

    def test_bad_words_are_flagged(self):
        for text in ("class FillManager;", "class PathHelper {};", "namespace string_utils {", "int HttpUtil();",
                     "Downstream downstream_;", "llhttp_set_lenient_headers(&p, 1);", "void helper();",
                     "curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);", "strcpy(a, b);", 'sprintf(a, "%d", 1);',
                     'std::system("ls");', '::popen("ls", "r");'):
            with self.subTest(text):
                self.assertGreaterEqual(len(self.findings(text)), 1)

    def test_good_words_are_not(self):
        for text in ("std::system_clock::now();", "snprintf(a, n, b);", "std::system_error e;", "// a manager's helper",
                     "curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);", 'auto s = "downstream lenient";', "utility::x",
                     "int futile;", "ServiceManager m;", "#include <utility>"):
            with self.subTest(text):
                self.assertEqual(self.findings(text), [])

    def test_tests_may_call_what_the_program_may_not(self):
        self.assertEqual(self.findings('std::system("openssl");', "tests/unit/x_test.cc"), [])

    def test_file_names_count(self):
        self.assertEqual(len(self.findings("", "base/string_util.cc")), 1)

    def test_long_files_are_flagged(self):
        self.assertEqual(self.findings("\n" * words.MAX_LINES), [])
        self.assertEqual(len(self.findings("\n" * (words.MAX_LINES + 1))), 1)

    def test_paths_of_one_machine_are_flagged(self):
        for place in ("/" + "home/ann/entrepot", "/" + "root/x", "/" + "work/main", "/" + "Users/bob"):
            with self.subTest(place):
                self.assertEqual(len(self.findings(f"see {place}", "docs/x.md")), 1)
        for place in ("$HOME/x", "network/" + "work/x", "/var/lib/entrepot", "~/.cache", "a/" + "root/b", "/home/me/x"):
            with self.subTest(place):
                self.assertEqual(self.findings(f"see {place}", "docs/x.md"), [])


class CoroutinesTest(unittest.TestCase):
    def findings(self, text):
        return coroutines.check({"proxy/x.cc": text})

    def test_the_subset_passes(self):
        for line in ("co_await f();", "auto x = co_await f(a, b);", "Result<Extent> r = co_await reader.wait_readable(at);",
                     "co_return co_await f(std::move(a));", "const Result<int> x = co_await a->b->c(d.e, 5, true);",
                     "if (ready) co_await f();", "else co_await f();", "for (int i = 0; i < 3; ++i) co_await tick(i);",
                     "auto x = co_await std::move(task);", "auto x = co_await leaf;", "auto x = co_await (*body)->read();", "auto x = co_await loop().run(*name);",
                     "Result<std::vector<int>> x = co_await cache::read(Kind::blob, kLimit);",
                     "case 1: co_await f();", "auto x = co_await run_on_disk<Result<int>>(pool, name);",
                     "#define X 1\nco_await f();", "call([&] { return 1; });", "values[index] = {1, 2};"):
            with self.subTest(line):
                self.assertEqual([str(f) for f in self.findings(f"Task<void> flow(int a) {{\n{line}\n}}\n")], [])

    def test_what_g12_gets_wrong_is_flagged(self):
        for line in ("if (co_await f()) co_return;", "while (co_await more()) g();", "auto [a, b] = co_await f();",
                     "x = g(co_await f());", "auto x = Thing{co_await f()};", "co_await f(Probe{1, 2});",
                     "co_await f([&] { return 1; });", "co_await f(g(a));", "auto x = co_await f() + 1;",
                     'co_await f(std::string("x"));', "return_value(co_await f(), 2);", "auto x = !co_await f();",
                     "TRY_ASSIGN(auto x, co_await f());", "co_await f(a + b);", "for (auto x = co_await f(); x; ) g();",
                     "auto x = co_await f(co_await g());", "auto x{co_await f()};"):
            with self.subTest(line):
                self.assertGreaterEqual(len(self.findings(f"Task<void> flow(int a) {{\n{line}\n}}\n")), 1)

    def test_a_literal_must_stay_a_literal(self):
        use = 'Task<void> flow() {\nco_await run("look up", std::move(work));\n}\n'
        self.assertEqual(self.findings("Task<int> run(const char* name, Work work);\n" + use), [])
        self.assertEqual(len(self.findings("Task<int> run(const std::string& name, Work work);\n" + use)), 1)

    def test_lambdas_that_are_coroutines_are_flagged(self):
        for line in ("spawn([this]() -> Task<void> { co_await f(); });", "auto l = [a]() mutable { co_return a; };",
                     "auto l = [] { co_yield 1; };"):
            with self.subTest(line):
                self.assertGreaterEqual(len(self.findings(f"void g() {{\n{line}\n}}\n")), 1)

    def test_rvalue_parameters_are_flagged(self):
        self.assertEqual(len(self.findings("Task<Result<int>> f(int a, std::string&& b);")), 1)
        self.assertEqual(len(self.findings("Task<int> Fill::f(T&& b) { co_return 1; }")), 1)
        self.assertEqual(self.findings("Task<int> f(std::string b); bool g(int&& x);"), [])

    def test_comments_and_strings_do_not_count(self):
        self.assertEqual(self.findings('// if (co_await f()) hangs\nauto s = "if (co_await f())";\n/* x(co_await y) */'), [])


if __name__ == "__main__":
    unittest.main()
