// coffer recreate: another configuration for a container that keeps its name, volumes and
// addresses.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_options.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/commands/pulling.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    text("image", 0, "Image to use instead of the container's own"),
    counted(value("int", "wait", 0, &check_int,
                  "Seconds in which it must turn healthy, or without a health check keep running "
                  "(default: the health check's own, or 5)")),
};
// What is not a matter of configuration.
constexpr std::string_view kRefused[] = {"name", "rm", "cidfile"};
// What a request takes from the image where the options are silent: never from the old container.
constexpr std::string_view kOfTheImage[] = {"Hostname",    "User",       "Env",     "Cmd",
                                            "Entrypoint",  "Image",      "Volumes", "ExposedPorts",
                                            "Healthcheck", "WorkingDir", "Labels",  "StopSignal"};

std::set<std::string> names_in(const std::vector<std::string>& words) {
    std::set<std::string> names;
    for (const std::string& word : words) names.insert(word.substr(0, word.find('=')));
    return names;
}

bool has_test(const Values& flags) {
    return flags.given("health-cmd") || flags.given("health-http") || flags.given("health-tcp");
}

// An option that is given replaces the old one; of variables and labels each by its own name.
bool is_replaced(const CreateOption& option, const Values& given,
                 const std::set<std::string>& variables, const std::set<std::string>& labels) {
    const std::string name = option.value.substr(0, option.value.find('='));
    if (option.flag == "env") return variables.contains(name);
    if (option.flag == "label") return labels.contains(name);
    if (given.given(option.flag)) return true;
    // One kind of check in place of another.
    if (option.flag == "no-healthcheck" || option.flag == "health-cmd" ||
        option.flag == "health-http" || option.flag == "health-tcp") {
        return has_test(given) || given.is_set("no-healthcheck");
    }
    return option.flag.starts_with("health-") && given.is_set("no-healthcheck");
}

// The options of the container, and over them those that are given.
Result<Values> changed_options(const Values& given, const CreateOptions& own) {
    std::vector<std::string> labels = given.list("label");
    for (const std::string& path : given.list("label-file")) {
        for (std::string& line : TRY(parse_key_value_file(path, Lookup::No))) {
            labels.push_back(std::move(line));
        }
    }
    const std::set<std::string> label_names = names_in(labels);
    const std::set<std::string> variables = names_in(TRY(environment_of(given)));
    std::vector<CreateOption> kept;
    for (const CreateOption& option : own.flags) {
        if (option.flag == "name") continue;  // it keeps its own
        if (!is_replaced(option, given, variables, label_names)) kept.push_back(option);
    }
    Values all = given;
    TRY(add_options(all, kept));
    return all;
}

// What the options cannot say is kept as it is.
void keep_the_rest(json::Value& body, const json::Value& own, const json::Value& before) {
    for (const json::Member& member : object_of(own, "")) {
        const bool of_image = std::find(std::begin(kOfTheImage), std::end(kOfTheImage),
                                        member.key) != std::end(kOfTheImage);
        const json::Value* was = before.find(member.key);
        const json::Value* is = body.find(member.key);
        const bool changed = is != nullptr && was != nullptr ? *is != *was : is != was;
        if (!of_image && !changed) body.set(member.key, member.value);
    }
}

Result<int> recreate(Invocation& call) {
    for (const std::string_view flag : kRefused) {
        if (call.flags.given(flag)) {
            return fail(Code::InvalidArgument, "--{} is no option of recreate", flag);
        }
    }
    const std::string& name = call.args[0];
    const json::Value container = TRY(call.api.get(container_path(name, "/json")));
    const auto image = call.api.get(image_path(text_of(container, "Image"), "/json"));
    const CreateOptions own = create_options(container, image ? *image : json::Value());
    const Values old_options = TRY(to_values(own.flags));
    const json::Value before = TRY(build_create_request(old_options, own.arguments())).body;

    std::vector<std::string> arguments = own.arguments();
    if (call.flags.given("image")) arguments[0] = call.flags.text("image");
    if (call.args.size() > 1 || call.flags.given("entrypoint")) {
        arguments.resize(1);
        arguments.insert(arguments.end(), call.args.begin() + 1, call.args.end());
    }
    const Values options = TRY(changed_options(call.flags, own));
    json::Value body = TRY(build_create_request(options, arguments)).body;
    json::Value host = *body.find("HostConfig");
    json::Value own_host = *container.find("HostConfig");
    // The engine's own note, and what follows from the level that it notes.
    if (json::Value* notes = own_host.find("Annotations")) {
        std::erase_if(*notes->if_object(),
                      [](const json::Member& note) { return note.key == kLevelNote; });
    }
    if (own_host.find("SecurityOpt") != nullptr && host.find("SecurityOpt") != nullptr &&
        *host.find("SecurityOpt") != *before.at_path("HostConfig.SecurityOpt")) {
        own_host.set("MaskedPaths", *host.find("MaskedPaths"));
        own_host.set("ReadonlyPaths", *host.find("ReadonlyPaths"));
    }
    keep_the_rest(host, own_host, *before.find("HostConfig"));
    keep_the_rest(body, *container.find("Config"), before);
    body.set("HostConfig", std::move(host));

    const auto reference = oci::parse_reference(arguments[0]);
    const auto present = call.api.get(image_path(arguments[0], "/json"));
    if (!present && present.error().code == Code::NotFound && reference) {
        TRY(pull_image(call.api, call.config, *reference, call.flags.text("platform"),
                       STDERR_FILENO, call.flags.is_set("quiet") ? Show::Nothing : Show::Progress));
    }
    const json::Value made =
        TRY(call.api.post(format("/coffer{}", container_path(name, "/recreate")),
                          {{"t", call.flags.text("wait")}}, body));
    for (const json::Value& warning : array_of(made, "Warnings")) {
        warn_line("WARNING: " + template_text(warning));
    }
    TRY(print_line(text_of(made, "Id")));
    return 0;
}

}  // namespace

constinit const Command commands::kRecreate{
    .name = "recreate",
    .arguments = "[OPTIONS] CONTAINER [COMMAND] [ARG...]",
    .summary = "Change what a container is made of; the old one comes back if the new one fails",
    .run = &recreate,
    .flags = {kFlags, &kCreateFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
    .interspersed = Interspersed::No,
    .spellings = "container recreate, recreate",
};

}  // namespace coffer::cli
