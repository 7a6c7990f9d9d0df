// coffer run and create.
#include <unistd.h>

#include <cstdlib>

#include "base/text.hpp"
#include "cli/attached.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/commands/pulling.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/user_config.hpp"
#include "oci/reference.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr int kFailed = 125;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

constexpr std::array kRunFlags = {
    toggle("detach", 'd', "Run container in background and print container ID"),
    text("detach-keys", 0, "Override the key sequence for detaching a container"),
    with_default(text("pull", 0, "Pull image before running (\"always\", \"missing\", \"never\")"),
                 "missing", "\"missing\""),
    with_default(toggle("sig-proxy", 0, "Proxy received signals to the process"), "true", "true"),
};

constexpr std::array kCreateOnlyFlags = {
    with_default(
        text("pull", 0, "Pull image before creating (\"always\", \"|missing\", \"never\")"),
        "missing", "\"missing\""),
};

// Prints the error as docker's run does.
void print_error(const Error& error, const Invocation& call) {
    const std::string_view program = std::string_view(call.path).substr(0, call.path.find(' '));
    warn_line(format("{}: {}\n\nRun '{} {} --help' for more information", program, error.message,
                     program, call.command.name));
}

// Prints it and gives the exit status that fits what the daemon says of the program to run.
int report(const Error& error, const Invocation& call) {
    print_error(error, call);
    const auto says = [&](std::string_view words) {
        return error.message.find(words) != std::string::npos;
    };
    if (says("executable file not found") || says("no such file or directory")) return kNotFound;
    if (says("permission denied") || says("is a directory")) return kCannotExecute;
    return kFailed;
}

Result<void> check_pull_policy(const std::string& policy) {
    if (policy.empty() || policy == "always" || policy == "missing" || policy == "never") return {};
    return fail(Code::InvalidArgument,
                "invalid pull option: '{}': must be one of \"always\", \"missing\" or \"never\"",
                policy);
}

// The file of --cidfile: made before the container, removed again when that fails.
class CidFile {
  public:
    static Result<CidFile> create(const std::string& path) {
        CidFile out;
        if (path.empty()) return out;
        if (sys::exists(path)) {
            return fail(Code::Conflict,
                        "container ID file found, make sure the other container isn't running or "
                        "delete {}",
                        path);
        }
        TRY_CONTEXT(sys::write_file(path, "", 0666), "failed to create the container ID file");
        out.path_ = path;
        return out;
    }
    CidFile() = default;
    ~CidFile() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    CidFile(CidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    CidFile& operator=(CidFile&&) = delete;
    CidFile(const CidFile&) = delete;
    CidFile& operator=(const CidFile&) = delete;

    Result<void> write(std::string_view id) {
        if (path_.empty()) return {};
        const std::string path = std::exchange(path_, {});
        TRY_CONTEXT(sys::write_file(path, id, 0666),
                    "failed to write the container ID to the file");
        return {};
    }

  private:
    std::string path_;
};

void warn_about(const json::Value& created, const Values& flags) {
    for (const json::Value& warning : array_of(created, "Warnings")) {
        warn_line("WARNING: " + template_text(warning));
    }
    for (const std::string& server : flags.list("dns")) {
        if (server.starts_with("127.") || server == "::1") {
            warn_line(format("WARNING: Localhost DNS ({}) may fail in containers.", server));
        }
    }
}

// POST /containers/create, with a pull when the image is absent. Returns the id.
Result<std::string> create_container(Invocation& call, CreateRequest& request) {
    const Values& flags = call.flags;
    CidFile cidfile = TRY(CidFile::create(request.cidfile));
    const Result<oci::Reference> reference = oci::parse_reference(request.image);
    const bool is_id = is_hex(request.image) && request.image.size() == 64;
    if (!reference && !is_id && !request.image.starts_with("sha256:")) {
        return fail(Code::InvalidArgument, "{}", reference.error().message);
    }
    const Show show = flags.is_set("quiet") ? Show::Nothing : Show::Progress;
    const auto pull = [&]() -> Result<void> {
        return pull_image(call.api, call.config, *reference, flags.text("platform"), STDERR_FILENO,
                          show);
    };
    const std::string policy = flags.text("pull");
    if (policy == "always" && reference) TRY(pull());

    const WindowSize size = window_size(STDOUT_FILENO);
    request.body.find("HostConfig")->set("ConsoleSize", json::Array{size.rows, size.columns});
    Query query;
    if (const std::string name = flags.text("name"); !name.empty()) query.emplace("name", name);
    if (const std::string platform = flags.text("platform"); !platform.empty()) {
        query.emplace("platform", platform);
    }
    Result<json::Value> created = call.api.post("/containers/create", query, request.body);
    const bool pulls = policy.empty() || policy == "missing";
    if (!created && created.error().code == Code::NotFound && reference && pulls) {
        if (show == Show::Progress) {
            warn_line(format("Unable to find image '{}' locally", reference->familiar_string()));
        }
        TRY(pull());
        created = call.api.post("/containers/create", query, request.body);
    }
    if (!created) return fail(std::move(created).error());
    warn_about(*created, flags);
    const std::string id = text_of(*created, "Id");
    TRY(cidfile.write(id));
    return id;
}

Result<CreateRequest> read_request(const Invocation& call) {
    TRY(check_pull_policy(call.flags.text("pull")));
    return build_create_request(call.flags, call.args);
}

Result<int> create(Invocation& call) {
    Result<CreateRequest> request = read_request(call);
    if (!request) {
        print_error(request.error(), call);
        return kFailed;
    }
    const std::string id = TRY(create_container(call, *request));
    TRY(print_line(id));
    return 0;
}

void set_detached(CreateRequest& request) {
    request.attach_input = request.attach_output = request.attach_errors = false;
    for (const std::string_view name :
         {"AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"}) {
        request.body.set(name, false);
    }
}

Result<int> run_attached(Invocation& call, const CreateRequest& request, const std::string& id) {
    const Values& flags = call.flags;
    AttachOptions options;
    options.input = request.attach_input;
    options.output = request.attach_output;
    options.errors = request.attach_errors;
    options.tty = request.tty;
    options.forward_signals = flags.is_set("sig-proxy");
    options.detach_keys = flags.text("detach-keys");
    if (options.detach_keys.empty()) options.detach_keys = call.config.detach_keys();
    options.resize_path = container_path(id, "/resize");
    options.kill_path = container_path(id, "/kill");

    Query query{{"stream", "1"}};
    if (options.input) query.emplace("stdin", "1");
    if (options.output) query.emplace("stdout", "1");
    if (options.errors) query.emplace("stderr", "1");
    if (!options.detach_keys.empty()) query.emplace("detachKeys", options.detach_keys);
    http::Upgraded connection = TRY(call.api.hijack(ApiCall{
        .method = http::Method::Post, .path = container_path(id, "/attach"), .query = query}));
    AttachedSession session =
        TRY(AttachedSession::start(call.api, std::move(connection), std::move(options)));
    // The status is asked for before the start, so that no exit is missed.
    http::Response wait = TRY(call.api.open(
        ApiCall{.method = http::Method::Post,
                .path = container_path(id, "/wait"),
                .query = {{"condition", request.auto_remove ? "removed" : "next-exit"}}}));
    if (Result<json::Value> started = call.api.post(container_path(id, "/start")); !started) {
        if (request.auto_remove) ignore(wait.body().read_all(65536), "only waits for the removal");
        session.restore_terminal();
        return report(started.error(), call);
    }
    if (is_terminal(STDOUT_FILENO)) session.send_size();
    const AttachedSession::Outcome outcome = TRY(session.run(&wait));
    return outcome.status.value_or(0);
}

Result<int> run(Invocation& call) {
    Result<CreateRequest> read = read_request(call);
    if (!read) {
        print_error(read.error(), call);
        return kFailed;
    }
    CreateRequest& request = *read;
    if (call.flags.is_set("detach")) {
        if (call.flags.given("attach")) {
            return fail(Code::InvalidArgument,
                        "conflicting options: cannot specify both --attach and --detach");
        }
        set_detached(request);
    } else if (request.attach_input && request.tty && !is_terminal(STDIN_FILENO)) {
        return fail(Code::InvalidArgument, "the input device is not a TTY");
    }
    const Result<std::string> id = create_container(call, request);
    if (!id) return report(id.error(), call);
    if (request.attach_input || request.attach_output || request.attach_errors) {
        return run_attached(call, request, *id);
    }
    TRY(print_line(*id));
    const Result<json::Value> started = call.api.post(container_path(*id, "/start"));
    return started ? 0 : report(started.error(), call);
}

}  // namespace

namespace commands {

constinit const Command kRun{
    .name = "run",
    .arguments = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    .summary = "Create and run a new container from an image",
    .run = &run,
    .flags = {kRunFlags, &kCreateFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .interspersed = Interspersed::No,
    .spellings = "container run, run",
    .common = 1,
};

constinit const Command kCreate{
    .name = "create",
    .arguments = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    .summary = "Create a new container",
    .run = &create,
    .flags = {kCreateOnlyFlags, &kCreateFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .interspersed = Interspersed::No,
    .spellings = "container create, create",
};

}  // namespace commands

}  // namespace coffer::cli
