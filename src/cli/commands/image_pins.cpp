// coffer image pin, unpin and pins: tags that are held to a digest.
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kPinsFlags = {
    text("format", 0, kListFormatHelp),
};
constexpr std::array kColumns = {
    Column{"Reference", "REFERENCE"},
    Column{"Digest", "DIGEST"},
    Column{"State", "STATE"},
};

Result<int> pin(Invocation& call) {
    for (const std::string& name : call.args) {
        const json::Value made = TRY(call.api.post("/coffer" + image_path(name, "/pin")));
        TRY(print_line(text_of(made, "Reference") + " " + text_of(made, "Digest")));
    }
    return 0;
}

Result<int> unpin(Invocation& call) {
    for (const std::string& name : call.args) {
        TRY(call.api.remove("/coffer" + image_path(name, "/pin")));
        TRY(print_line(name));
    }
    return 0;
}

Result<int> pins(Invocation& call) {
    std::vector<Row> rows;
    const json::Value reply = TRY(call.api.get("/coffer/pins"));
    for (const json::Value& one : array_of(reply, "")) {
        Row row;
        row.fields = json::Object{{"Reference", text_of(one, "Reference")},
                                  {"Digest", text_of(one, "Digest")},
                                  {"State", text_of(one, "State")}};
        rows.push_back(std::move(row));
    }
    TRY(print_list({kColumns, "{{.Reference}}\t{{.Digest}}\t{{.State}}",
                    "*formatter.imagePinContext", "Reference"},
                   call.flags.text("format"), Quiet::No, rows));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kImagePin{
    .name = "pin",
    .arguments = "NAME[:TAG][@DIGEST] [NAME[:TAG][@DIGEST]...]",
    .summary = "Hold a tag to a digest, whatever it comes to mean at its registry",
    .run = &pin,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
};
constinit const Command kImageUnpin{
    .name = "unpin",
    .arguments = "NAME[:TAG] [NAME[:TAG]...]",
    .summary = "Let a tag move again",
    .run = &unpin,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
};
constinit const Command kImagePins{
    .name = "pins",
    .arguments = "[OPTIONS]",
    .summary = "List tags that are held to a digest",
    .run = &pins,
    .flags = {kPinsFlags},
};

}  // namespace commands

}  // namespace coffer::cli
