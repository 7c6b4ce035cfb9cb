//! Reads one Rust source and lists the paths in it: in every form of `use`, in code, in the arguments of macros and in
//! attributes. `syn` parses, so comments, strings and characters cannot be mistaken for code.

use std::{collections::BTreeSet, fmt};

use proc_macro2::{Ident, Spacing, TokenStream, TokenTree};
use syn::{
    Attribute, ItemUse, Meta, UseTree,
    ext::IdentExt,
    punctuated::Punctuated,
    spanned::Spanned,
    visit::{self, Visit},
};

/// What the rules need of one source.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) names: Vec<Name>,
    /// Modules declared here only for tests, each as a path below this one.
    pub(crate) test_modules: Vec<Vec<String>>,
    /// Lines outside items for tests.
    pub(crate) lines: usize,
    /// The file opens with a paragraph about itself.
    pub(crate) opens_with_paragraph: bool,
}

/// One path as it is written, with its position.
pub(crate) struct Name {
    /// Its segments. The first one is empty after a leading `::`, the last one of `use a::*` is `a`.
    pub(crate) path: Vec<String>,
    /// The name that a `use` gives it, `*` for a glob.
    pub(crate) bound: Option<String>,
    /// The inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
    pub(crate) line: usize,
    /// Compiled only for tests.
    pub(crate) test: bool,
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let glob = self.bound.as_deref() == Some("*");
        write!(
            formatter,
            "{}{}",
            self.path.join("::"),
            if glob { "::*" } else { "" }
        )
    }
}

impl Source {
    /// # Errors
    ///
    /// The text is not valid Rust.
    pub(crate) fn parse(text: &str) -> syn::Result<Self> {
        let file = syn::parse_file(text)?;
        let mut reader = Reader::default();
        reader.visit_file(&file);
        Ok(Self {
            lines: text.lines().count() - reader.test_lines.len(),
            opens_with_paragraph: text.starts_with("//!"),
            ..reader.source
        })
    }
}

#[derive(Default)]
struct Reader {
    source: Source,
    inside: Vec<String>,
    in_test: bool,
    test_lines: BTreeSet<usize>,
}

impl Reader {
    fn name(&mut self, path: Vec<String>, bound: Option<String>, line: usize) {
        self.source.names.push(Name {
            path,
            bound,
            inside: self.inside.clone(),
            line,
            test: self.in_test,
        });
    }

    /// Reads a node that attributes can limit to tests.
    fn attributed<N: Spanned>(
        &mut self,
        attributes: &[Attribute],
        node: &N,
        read: impl FnOnce(&mut Self),
    ) {
        let test = attributes.iter().any(keeps_for_tests);
        if test {
            let span = node.span();
            let lines = span.start().line..=span.end().line;
            self.test_lines.extend(lines);
        }
        let around = self.in_test;
        self.in_test |= test;
        read(self);
        self.in_test = around;
    }

    fn import(&mut self, before: &[String], tree: &UseTree) {
        let joined = |ident: &Ident| [before, &[text(ident)]].concat();
        match tree {
            UseTree::Path(path) => self.import(&joined(&path.ident), &path.tree),
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|item| self.import(before, item)),
            UseTree::Name(name) => self.leaf(before, &name.ident, &name.ident),
            UseTree::Rename(rename) => self.leaf(before, &rename.ident, &rename.rename),
            UseTree::Glob(glob) => {
                let line = glob.star_token.span().start().line;
                self.name(before.to_vec(), Some("*".to_owned()), line);
            }
        }
    }

    /// The end of an import: `self` in a group means the path before the group.
    fn leaf(&mut self, before: &[String], ident: &Ident, bound: &Ident) {
        let mut path = before.to_vec();
        if ident != "self" || before.is_empty() {
            path.push(text(ident));
        }
        let bound = if bound == "self" {
            path.last().cloned()
        } else {
            Some(text(bound))
        };
        self.name(path, bound, ident.span().start().line);
    }

    /// Paths in tokens that are not parsed: `a::b`, `::a::b`, `use a::{b, c};`, and strings where they can be paths.
    fn tokens(&mut self, tokens: TokenStream, in_attribute: bool) {
        let trees: Vec<_> = tokens.into_iter().collect();
        let mut rest = trees.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let tokens = rest;
            rest = after;
            match first {
                TokenTree::Group(group) => self.tokens(group.stream(), in_attribute),
                TokenTree::Literal(literal) if in_attribute => {
                    let string = syn::parse_str::<syn::LitStr>(&literal.to_string());
                    if let Ok(path) = string.and_then(|string| string.parse::<syn::Path>()) {
                        self.visit_path(&path);
                    }
                }
                TokenTree::Literal(_) => {}
                TokenTree::Ident(ident) if ident == "use" => {
                    if let Some((item, after)) = import(tokens) {
                        self.visit_item_use(&item);
                        rest = after;
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {
                    let (path, after) = path(tokens);
                    if after.len() < rest.len() {
                        rest = after;
                    }
                    self.inline(path, first.span().start().line);
                }
            }
        }
    }

    /// A path in code. A path of one segment adds nothing to the `use` that imports it.
    fn inline(&mut self, path: Vec<String>, line: usize) {
        if path.len() > 1 || path.iter().any(|segment| segment == "async") {
            self.name(path, None, line);
        }
    }
}

/// Nodes that can have `#[cfg(test)]`. A node that is missing here is read as production code, which is stricter.
macro_rules! attributed {
    ($($visit:ident: $node:ident,)*) => {
        $(fn $visit(&mut self, node: &'ast syn::$node) {
            self.attributed(&node.attrs, node, |reader| visit::$visit(reader, node));
        })*
    };
}

impl<'ast> Visit<'ast> for Reader {
    attributed! {
        visit_file: File,
        visit_item_const: ItemConst,
        visit_item_enum: ItemEnum,
        visit_item_fn: ItemFn,
        visit_item_impl: ItemImpl,
        visit_item_macro: ItemMacro,
        visit_item_static: ItemStatic,
        visit_item_struct: ItemStruct,
        visit_item_trait: ItemTrait,
        visit_item_type: ItemType,
        visit_impl_item_const: ImplItemConst,
        visit_impl_item_fn: ImplItemFn,
        visit_impl_item_type: ImplItemType,
        visit_trait_item_fn: TraitItemFn,
        visit_field: Field,
        visit_field_value: FieldValue,
        visit_variant: Variant,
        visit_arm: Arm,
        visit_local: Local,
        visit_stmt_macro: StmtMacro,
        visit_expr_assign: ExprAssign,
        visit_expr_block: ExprBlock,
        visit_expr_call: ExprCall,
        visit_expr_method_call: ExprMethodCall,
    }

    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        self.attributed(&node.attrs, node, |reader| {
            reader.inside.push(text(&node.ident));
            if reader.in_test {
                reader.source.test_modules.push(reader.inside.clone());
            }
            visit::visit_item_mod(reader, node);
            reader.inside.pop();
        });
    }

    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        self.attributed(&node.attrs, node, |reader| {
            let root = node.leading_colon.as_ref().map(|_| String::new());
            reader.import(root.as_slice(), &node.tree);
        });
    }

    fn visit_item_extern_crate(&mut self, node: &'ast syn::ItemExternCrate) {
        self.attributed(&node.attrs, node, |reader| {
            let bound = node.rename.as_ref().map_or(&node.ident, |(_, name)| name);
            let path = vec![String::new(), text(&node.ident)];
            reader.name(path, Some(text(bound)), node.span().start().line);
        });
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        let root = node.leading_colon.as_ref().map(|_| String::new());
        let segments = node.segments.iter().map(|segment| text(&segment.ident));
        let path = root.into_iter().chain(segments).collect();
        self.inline(path, node.span().start().line);
        visit::visit_path(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        self.tokens(node.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, node: &'ast Attribute) {
        if node.path().is_ident("doc") {
            return;
        }
        self.visit_path(node.path());
        match &node.meta {
            Meta::List(list) => self.tokens(list.tokens.clone(), true),
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
            Meta::Path(_) => {}
        }
    }

    /// `pub(in a::b)` sets visibility and uses nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_signature(&mut self, node: &'ast syn::Signature) {
        if let Some(keyword) = &node.asyncness {
            self.inline(vec!["async".to_owned()], keyword.span.start().line);
        }
        visit::visit_signature(self, node);
    }

    fn visit_expr_async(&mut self, node: &'ast syn::ExprAsync) {
        self.inline(vec!["async".to_owned()], node.span().start().line);
        visit::visit_expr_async(self, node);
    }

    fn visit_expr_closure(&mut self, node: &'ast syn::ExprClosure) {
        if let Some(keyword) = &node.asyncness {
            self.inline(vec!["async".to_owned()], keyword.span.start().line);
        }
        visit::visit_expr_closure(self, node);
    }
}

/// `#[test]`, `#[tokio::test]`, or a `#[cfg(...)]` that is true only in tests.
fn keeps_for_tests(attribute: &Attribute) -> bool {
    let path = attribute.path();
    if path.is_ident("cfg") {
        return attribute
            .parse_args::<Meta>()
            .is_ok_and(|condition| asks_for_test(&condition));
    }
    path.segments
        .last()
        .is_some_and(|segment| segment.ident == "test")
}

fn asks_for_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test");
    };
    let parts = list.parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated);
    parts.is_ok_and(|parts| {
        (list.path.is_ident("all") && parts.iter().any(asks_for_test))
            || (list.path.is_ident("any") && parts.iter().all(asks_for_test))
    })
}

/// The import at the start of tokens, and the tokens after it.
fn import(tokens: &[TokenTree]) -> Option<(ItemUse, &[TokenTree])> {
    let semicolon = tokens.iter().position(|tree| is_punct(tree, ';'))?;
    let (item, rest) = tokens.split_at(semicolon + 1);
    let item = syn::parse2(item.iter().cloned().collect()).ok()?;
    Some((item, rest))
}

/// The path at the start of tokens, and the tokens after it. If they do not begin with a path, it is only the root.
///
/// A path after angle brackets, such as `::new` in `Vec::<u8>::new`, looks like a separate path and refers to nothing.
fn path(tokens: &[TokenTree]) -> (Vec<String>, &[TokenTree]) {
    let (first, mut rest) = match tokens {
        [TokenTree::Ident(ident), rest @ ..] => (text(ident), rest),
        _ => (String::new(), tokens),
    };
    let mut path = vec![first];
    while let [
        TokenTree::Punct(colon),
        second,
        TokenTree::Ident(ident),
        after @ ..,
    ] = rest
    {
        if colon.as_char() != ':' || colon.spacing() != Spacing::Joint || !is_punct(second, ':') {
            break;
        }
        path.push(text(ident));
        rest = after;
    }
    (path, rest)
}

fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}
