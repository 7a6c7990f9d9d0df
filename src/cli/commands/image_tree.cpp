// coffer image tree: layers on top of each other, and the images that end with them.
#include <map>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Don't truncate output"),
};
constexpr std::array kColumns = {
    Column{"Tree", "LAYER"},  Column{"Size", "SIZE"},      Column{"Images", "IMAGES"},
    Column{"ID", "LAYER ID"}, Column{"DiffID", "DIFF ID"}, Column{"Parent", "PARENT"},
};

// The only layer on top of another one stands right below it; of several each begins a branch.
class Tree {
  public:
    Tree(const json::Value& layers, bool cut_down) : cut_down_(cut_down) {
        for (const json::Value& layer : array_of(layers, ""))
            on_top_of_[text_of(layer, "Parent")].push_back(&layer);
    }

    std::vector<Row> rows() {
        add_on_top_of("", "");
        return std::move(rows_);
    }

  private:
    void add_on_top_of(const std::string& parent, const std::string& indent) {
        std::string below = parent;
        for (;;) {
            const auto found = on_top_of_.find(below);
            if (found == on_top_of_.end()) return;
            const auto& layers = found->second;
            if (layers.size() > 1) {
                for (const json::Value* layer : layers) {
                    const bool last = layer == layers.back();
                    add(*layer, indent + (last ? "└─ " : "├─ "));
                    add_on_top_of(text_of(*layer, "ChainId"), indent + (last ? "   " : "│  "));
                }
                return;
            }
            add(*layers.front(), indent);
            below = text_of(*layers.front(), "ChainId");
        }
    }

    std::string shown(const std::string& id) const { return cut_down_ ? short_id(id) : id; }

    void add(const json::Value& layer, const std::string& drawn) {
        std::vector<std::string> images;
        for (const std::string& image : words_of(layer, "Images"))
            images.push_back(image.starts_with("sha256:") ? shown(image) : image);
        Row row;
        row.fields = json::Object{
            {"Tree", drawn + shown(text_of(layer, "DiffId"))},
            {"Size", human_size(static_cast<double>(int_of(layer, "Size")), 3)},
            {"Images", join(images, ", ")},
            {"ID", shown(text_of(layer, "ChainId"))},
            {"DiffID", shown(text_of(layer, "DiffId"))},
            {"Parent", shown(text_of(layer, "Parent"))},
        };
        rows_.push_back(std::move(row));
    }

    bool cut_down_;
    std::map<std::string, std::vector<const json::Value*>> on_top_of_;
    std::vector<Row> rows_;
};

Result<int> tree(Invocation& call) {
    Query query;
    for (const std::string& image : call.args) query.emplace("image", image);
    const json::Value layers = TRY(call.api.get("/coffer/images/layers", query));
    TRY(print_list({kColumns, "{{.Tree}}\t{{.Size}}\t{{.Images}}", "*formatter.layerContext"},
                   call.flags.text("format"), Quiet::No,
                   Tree(layers, !call.flags.is_set("no-trunc")).rows()));
    return 0;
}

}  // namespace

constinit const Command commands::kImageTree{
    .name = "tree",
    .arguments = "[OPTIONS] [IMAGE...]",
    .summary = "Show which layers images consist of and share, the lowest first",
    .run = &tree,
    .flags = {kFlags},
    .max_args = kAnyNumber,
    .completes = Completes::Images,
};

}  // namespace coffer::cli
