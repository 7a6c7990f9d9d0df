// Any bytes as what registries and clients send (challenges, tokens, logins), and as the files that
// say where images are: what is accepted must be safe to use.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "registry/auth.hpp"
#include "registry/rules.hpp"

namespace {

using namespace coffer::registry;  // NOLINT(google-build-using-namespace): one file

void check_header(std::string_view text) {
    if (text.find_first_of("\r\n") != std::string_view::npos) std::abort();
}

void check_rules(const coffer::Result<RulesFile>& file) {
    if (!file) return;
    for (const Rule& rule : file->rules) {
        for (const Host& host : rule.hosts) {
            check_header(host.address);
            check_header(host.path);
            if (host.path.find("..") != std::string::npos) std::abort();
            if (host.address.find('/') != std::string::npos) std::abort();
            for (const std::string& header : host.headers) check_header(header);
            for (const char* name : {"docker.io/library/busybox", "a.example:5000/x"}) {
                if (match_prefix(rule.prefix, name) > 0) {
                    if (rewrite(host, rule.prefix, name).starts_with('/')) std::abort();
                }
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const Challenge& challenge : parse_challenges(text))
        check_header(token_url(challenge, text, {std::string(text), "", "", ""})
                         .substr(challenge.params.contains("realm")
                                     ? challenge.params.at("realm").size()
                                     : 0));
    if (const auto token = parse_token(text)) check_header(token->text);
    const Credentials login = decode_auth_header(text);
    check_header(basic_authorization(login));
    check_rules(parse_rules(text, "file"));
    check_rules(parse_registries_conf(text, "file"));
    check_rules(parse_hosts_toml(text, "/d/hosts.toml"));
    return 0;
}
