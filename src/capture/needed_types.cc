// SPDX-License-Identifier: BSD-2-Clause
#include "needed_types.h"

#include <bpf/btf.h>
#include <sys/mman.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace tcpsaga {
namespace {

/// Kinds that libbpf compares by name (btf_kind_core_compat() in its libbpf_internal.h).
bool can_be_sought(const btf_type& type)
{
    switch (btf_kind(&type)) {
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_INT:
    case BTF_KIND_FLOAT:
        return true;
    default:
        return false;
    }
}

/// Without the ___FLAVOR by which an object tells apart what a type was in different kernels.
std::string_view essential_name(const btf& types, const btf_type& type)
{
    const std::string_view name = btf__name_by_offset(&types, type.name_off);
    const auto flavor = name.rfind("___");
    return flavor != std::string_view::npos && flavor > 0 ? name.substr(0, flavor) : name;
}

std::unordered_set<std::string_view> names_in(const btf& object)
{
    std::unordered_set<std::string_view> names;
    for (__u32 id = 1; id < btf__type_cnt(&object); id++)
        if (const btf_type& type = *btf__type_by_id(&object, id); can_be_sought(type))
            names.insert(essential_name(object, type));
    names.erase("");
    return names;
}

/// What a type is made of by value: calls `visit` with each id.
template <class Type, class Visit>
void for_each_part(Type& type, Visit&& visit)
{
    switch (btf_kind(&type)) {
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_CONST:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_TYPE_TAG:
        visit(type.type);
        break;
    case BTF_KIND_ARRAY:
        visit(btf_array(&type)->type);
        visit(btf_array(&type)->index_type);
        break;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        for (auto& member : std::span(btf_members(&type), btf_vlen(&type)))
            visit(member.type);
        break;
    default:
        break;
    }
}

/// Copies types, each once, those that they are made of behind them.
class Selection {
public:
    explicit Selection(const btf& kernel)
        : kernel_(kernel), chosen_(btf__new_empty()), id_in_chosen_(btf__type_cnt(&kernel))
    {
    }

    void add(__u32 id)
    {
        if (id == 0 || id_in_chosen_[id] != 0 || !chosen_)
            return;
        const int added = btf__add_type(chosen_.get(), &kernel_, btf__type_by_id(&kernel_, id));
        if (added < 0)
            chosen_.reset();
        else
            id_in_chosen_[id] = static_cast<__u32>(added), waiting_.push_back(id);
    }

    BtfPtr finish()
    {
        while (!waiting_.empty() && chosen_) {
            const btf_type& type = *btf__type_by_id(&kernel_, waiting_.back());
            waiting_.pop_back();
            for_each_part(type, [this](__u32 part) { add(part); });
        }
        for (__u32 id = 1; chosen_ && id < btf__type_cnt(chosen_.get()); id++)
            point_into_chosen(id);
        return std::move(chosen_);
    }

private:
    void point_into_chosen(__u32 id)
    {
        // What btf__add_type() made may be written to: libbpf's own users do so.
        auto& type = const_cast<btf_type&>(*btf__type_by_id(chosen_.get(), id)); // NOLINT
        if (btf_is_ptr(&type))
            type.type = 0;
        for_each_part(type, [this](__u32& part) { part = id_in_chosen_[part]; });
    }

    const btf& kernel_;
    BtfPtr chosen_;
    std::vector<__u32> id_in_chosen_; ///< by id in kernel_; 0: not chosen
    std::vector<__u32> waiting_;      ///< chosen; their parts are not
};

} // namespace

BtfPtr needed_types(const btf& kernel, const btf& object)
{
    const auto names = names_in(object);
    Selection selection(kernel);
    for (__u32 id = 1; id < btf__type_cnt(&kernel); id++) {
        const btf_type& type = *btf__type_by_id(&kernel, id);
        if (can_be_sought(type) && names.contains(essential_name(kernel, type)))
            selection.add(id);
    }
    return selection.finish();
}

TypesFile::TypesFile(const BtfPtr& types)
{
    __u32 size = 0;
    const void* bytes = types ? btf__raw_data(types.get(), &size) : nullptr;
    Fd file{memfd_create("types", MFD_CLOEXEC)};
    if (bytes == nullptr || !file || write(file.get(), bytes, size) != static_cast<ssize_t>(size))
        return;
    path_ = "/proc/self/fd/" + std::to_string(file.get());
    file_ = std::move(file);
}

} // namespace tcpsaga
