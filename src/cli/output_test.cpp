// Tables, templates, human sizes and times, against what Go and docker print.
#include <gmock/gmock.h>

#include "cli/table.hpp"
#include "cli/template.hpp"
#include "cli/units.hpp"

namespace coffer::cli {
namespace {

json::Value document(std::string_view text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << value.error().message;
    return *std::move(value);
}

std::string render(std::string_view pattern, std::string_view data) {
    auto parsed = Template::parse(pattern);
    if (!parsed) return parsed.error().message;
    const json::Value root = document(data);
    auto out = parsed->execute({.root = root});
    return out ? *out : out.error().message;
}

TEST(Table, columns_are_at_least_ten_wide_with_three_blanks) {
    EXPECT_EQ(align_columns("A\tBB\tC\nlonger than ten\tx\ty\n"),
              "A                 BB        C\n"
              "longer than ten   x         y\n");
}

TEST(Table, the_last_cell_is_never_padded_and_bytes_are_not_columns) {
    EXPECT_EQ(align_columns("…a\tb\n12345678901\tc\n"), "…a            b\n12345678901   c\n");
}

TEST(Table, a_column_ends_with_the_lines_that_have_it) {
    EXPECT_EQ(align_columns("aaaaaaaaaaaaaaa\tb\nplain\nx\ty\n"),
              "aaaaaaaaaaaaaaa   b\nplain\nx         y\n");
}

TEST(Units, durations) {
    using namespace std::chrono_literals;
    EXPECT_EQ(human_duration(999ms), "Less than a second");
    EXPECT_EQ(human_duration(1500ms), "1 second");
    EXPECT_EQ(human_duration(59s), "59 seconds");
    EXPECT_EQ(human_duration(60s), "About a minute");
    EXPECT_EQ(human_duration(3min), "3 minutes");
    EXPECT_EQ(human_duration(89min), "About an hour");
    EXPECT_EQ(human_duration(90min), "2 hours");
    EXPECT_EQ(human_duration(47h), "47 hours");
    EXPECT_EQ(human_duration(48h), "2 days");
    EXPECT_EQ(human_duration(24h * 14), "2 weeks");
    EXPECT_EQ(human_duration(24h * 61), "2 months");
    EXPECT_EQ(human_duration(24h * 365 * 3), "3 years");
}

TEST(Units, sizes) {
    EXPECT_EQ(human_size(0, 3), "0B");
    EXPECT_EQ(human_size(4261550, 3), "4.26MB");
    EXPECT_EQ(human_size(1234567890, 4), "1.235GB");
    EXPECT_EQ(binary_size(64.0 * 1024 * 1024), "64MiB");
}

TEST(Units, ellipsis_counts_columns) {
    EXPECT_EQ(ellipsis("/bin/sh -c 'sleep 1000'", 20), "/bin/sh -c 'sleep 1…");
    EXPECT_EQ(ellipsis("short", 20), "short");
    EXPECT_EQ(ellipsis("日本語", 4), "日…");
}

TEST(Template, fields_and_functions) {
    const char* data = R"({"State":{"Status":"running","Pid":12},"Args":["a","b"],"N":null,
                          "Labels":{"b":"2","a.x":"1"},"On":true})";
    EXPECT_EQ(render("{{.State.Status}} {{.State.Pid}}", data), "running 12");
    EXPECT_EQ(render("{{json .Args}}{{json .Labels}}", data), R"(["a","b"]{"b":"2","a.x":"1"})");
    EXPECT_EQ(render("{{.Args}} {{.Labels}} {{.On}}", data), "[a b] map[a.x:1 b:2] true");
    EXPECT_EQ(render("{{index .Args 1}}{{index .Labels \"a.x\"}}{{len .Args}}", data), "b12");
    EXPECT_EQ(render("{{join .Args \", \"}}|{{upper .State.Status | printf \"%10s\"}}", data),
              "a, b|   RUNNING");
    EXPECT_EQ(render("{{(index .Args 0) | title}}{{truncate .State.Status 3}}", data), "Arun");
    EXPECT_EQ(render("{{println .State.Pid \"x\"}}", data), "12 x\n");
    EXPECT_EQ(render("{{printf \"%s-%d-%v-%q\" .State.Status .State.Pid .On \"q\"}}", data),
              "running-12-true-\"q\"");
}

TEST(Template, control_flow) {
    const char* data = R"({"A":[1,2],"M":{"y":2,"x":1},"E":[],"S":"v"})";
    EXPECT_EQ(render("{{range .A}}<{{.}}>{{end}}", data), "<1><2>");
    EXPECT_EQ(render("{{range $i, $v := .A}}{{$i}}={{$v}},{{end}}", data), "0=1,1=2,");
    EXPECT_EQ(render("{{range $k, $v := .M}}{{$k}}{{$v}}{{end}}", data), "x1y2");
    EXPECT_EQ(render("{{range .E}}x{{else}}none{{end}}", data), "none");
    EXPECT_EQ(render("{{if eq .S \"v\"}}yes{{else}}no{{end}}", data), "yes");
    EXPECT_EQ(render("{{if .E}}1{{else if and .S (gt (len .A) 1)}}2{{else}}3{{end}}", data), "2");
    EXPECT_EQ(render("{{with .S}}{{.}}{{$.S}}{{end}}", data), "vv");
    EXPECT_EQ(render("{{$x := 1}}{{range .A}}{{$x = .}}{{end}}{{$x}}", data), "2");
    EXPECT_EQ(render("a {{- /* note */ -}} b{{- \"c\" }}", data), "abc");
    EXPECT_EQ(render("{{range .A}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}", data), "1");
    EXPECT_EQ(render("{{not .E}}{{or .E .S}}{{ne 1 2}}", data), "truevtrue");
}

TEST(Template, mistakes) {
    EXPECT_EQ(render("{{.Nope}}", "{}"),
              "template parsing error: template: :1:2: executing \"\" at <.Nope>: map has no entry "
              "for key \"Nope\"");
    EXPECT_EQ(render("{{.A.Nope}}", R"({"A":{}})"),
              "template parsing error: template: :1:4: executing \"\" at <.A.Nope>: map has no "
              "entry for key \"Nope\"");
    EXPECT_EQ(render("{{nope .}}", "{}"),
              "template parsing error: template: :1: function \"nope\" not defined");
    EXPECT_EQ(render("{{.A", "{}"), "template parsing error: template: :1: unclosed action");
    EXPECT_EQ(render("{{if .A}}", R"({"A":1})"),
              "template parsing error: template: :1: unexpected EOF");
    EXPECT_EQ(render("{{end}}", "{}"), "template parsing error: template: :1: unexpected {{end}}");
}

TEST(Template, methods_and_used_fields) {
    const json::Value root = document(R"({"ID":"x"})");
    auto parsed = Template::parse("{{.ID}} {{.Label \"k\"}}");
    auto out = parsed->execute(
        {.root = root, .method = [](std::string_view name, const std::vector<json::Value>& args) {
             return std::optional<json::Value>(std::string(name) + *args[0].if_string());
         }});
    EXPECT_EQ(*out, "x Labelk");
    EXPECT_TRUE(parsed->uses("ID"));
    EXPECT_FALSE(parsed->uses("Size"));
    EXPECT_TRUE(Template::parse("{{json .}}")->uses("Size"));
}

}  // namespace
}  // namespace coffer::cli
