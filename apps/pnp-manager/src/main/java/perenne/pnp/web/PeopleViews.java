package perenne.pnp.web;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import perenne.pnp.model.Catalogue;
import perenne.pnp.model.Level;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preference;
import perenne.pnp.model.Preferences;
import perenne.pnp.store.People;

/** The pages about people: list, add, show, delete. */
final class PeopleViews {

    private PeopleViews() {}

    /** @param text what was searched for; empty for everyone */
    static Html list(Frame frame, People.Page page, String text, boolean deleted) {
        return Layout.render(frame, "People", Html.of("""
                %s
                <div class="heading">
                <h1>People</h1>
                <a class="button primary" href="%s/people/new">Add a person</a>
                </div>
                <p class="lead">Each person's needs and preferences, kept once, for every page to follow.</p>
                <form class="search" role="search" action="%s/people" method="get">
                <label for="q">Name contains</label>
                <input id="q" name="q" type="search" value="%s" maxlength="120" autocomplete="off">
                <button type="submit">Search</button>
                </form>
                %s
                %s
                """,
                Html.when(deleted, "<p class=\"notice\" role=\"status\"><strong>Deleted.</strong> The person is no longer kept.</p>"),
                frame.root(), frame.root(), text, table(frame, page, text), pages(frame, page, text)));
    }

    /** The form that starts a draft for somebody new. */
    static Html create(Frame frame, String name, Optional<String> complaint) {
        return Layout.render(frame, "Add a person", Html.of("""
                <h1>Add a person</h1>
                <p class="lead">First the name; then three short steps, one for each level. Nothing is stored before the last step.</p>
                <form class="card narrow" action="%s/people/new" method="post">
                %s
                <div class="actions"><button class="primary" type="submit">Start</button> <a href="%s/people">Cancel</a></div>
                </form>
                """,
                frame.root(), nameField(name, complaint), frame.root()));
    }

    static Html nameField(String name, Optional<String> complaint) {
        return Html.of("""
                <div class="field">
                <label for="name">Name</label>
                <input id="name" name="name" type="text" value="%s" maxlength="%s" autocomplete="off" required%s>
                %s
                </div>
                """,
                name, Person.NAME_LIMIT, Html.when(complaint.isPresent(), " aria-invalid=\"true\" aria-describedby=\"name-error\""),
                Html.when(complaint.isPresent(), "<p class=\"error\" id=\"name-error\"><strong>Error:</strong> the name %s.</p>",
                        complaint.orElse("")));
    }

    static Html show(Frame frame, Person person, boolean saved) {
        String address = frame.root() + "/people/" + person.id();
        return Layout.render(frame, person.name(), Html.of("""
                %s
                <nav class="trail" aria-label="You are here"><a href="%s/people">People</a></nav>
                <h1>%s</h1>
                <p class="lead">Version %s, changed %s</p>
                <div class="actions">
                <a class="button primary" href="%s/experience">See a page as %s likes it</a>
                <form action="%s/edit" method="post"><button type="submit">Change the preferences</button></form>
                <a class="button danger" href="%s/delete">Delete</a>
                </div>
                <div class="levels">
                %s
                </div>
                """,
                Html.when(saved, "<p class=\"notice\" role=\"status\"><strong>Saved.</strong> The preferences are stored.</p>"),
                frame.root(), person.name(), person.version(), Layout.time(person.updatedAt()), address, person.name(),
                address, address,
                Html.join(List.of(Level.values()).stream()
                        .map(level -> Html.of("<section class=\"card\" aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>%s</section>",
                                level.key(), level.key(), level.label(), summary(level, person.preferences())))
                        .toList())));
    }

    /** What was asked for on one level. */
    static Html summary(Level level, Preferences preferences) {
        List<Preference> asked = Catalogue.of(level).stream().filter(preferences::asked).toList();
        return asked.isEmpty()
                ? Html.of("<p class=\"quiet\">Nothing asked for.</p>")
                : Html.of("<dl class=\"wishes\">%s</dl>", Html.join(asked.stream()
                        .map(preference -> Html.of("<div><dt>%s</dt><dd>%s</dd></div>",
                                preference.label(), preference.display(preferences.value(preference))))
                        .toList()));
    }

    static Html delete(Frame frame, Person person) {
        String address = frame.root() + "/people/" + person.id();
        return Layout.render(frame, "Delete " + person.name(), Html.of("""
                <h1>Delete %s?</h1>
                <p class="lead">All preferences of %s will be gone. This can't be undone.</p>
                <form class="actions" action="%s/delete" method="post">
                <button class="danger" type="submit">Delete for good</button> <a href="%s">Keep</a>
                </form>
                """,
                person.name(), person.name(), address, address));
    }

    private static Html table(Frame frame, People.Page page, String text) {
        if (page.people().isEmpty()) {
            return text.isEmpty()
                    ? Html.of("<p class=\"card empty\">Nobody yet. <a href=\"%s/people/new\">Add the first person</a>.</p>", frame.root())
                    : Html.of("<p class=\"card empty\" role=\"status\">No name contains “%s”. <a href=\"%s/people\">Show everyone</a>.</p>",
                            text, frame.root());
        }
        return Html.of("""
                <table class="card">
                <caption>%s %s</caption>
                <thead><tr><th scope="col">Name</th><th scope="col">Asked for</th><th scope="col">Changed</th><th scope="col">Try it</th></tr></thead>
                <tbody>
                %s
                </tbody>
                </table>
                """,
                page.total(), page.total() == 1 ? "person" : "people",
                Html.join(page.people().stream().map(person -> row(frame, person)).toList()));
    }

    private static Html row(Frame frame, Person person) {
        String address = frame.root() + "/people/" + person.id();
        return Html.of("""
                <tr>
                <th scope="row"><a href="%s">%s</a></th>
                <td data-label="Asked for">%s</td>
                <td data-label="Changed">%s</td>
                <td data-label="Try it"><a href="%s/experience">Experience<span class="hidden"> of %s</span></a></td>
                </tr>
                """,
                address, person.name(), counts(person.preferences()), Layout.time(person.updatedAt()), address, person.name());
    }

    private static Html counts(Preferences preferences) {
        List<Html> counts = List.of(Level.values()).stream()
                .filter(level -> Catalogue.of(level).stream().anyMatch(preferences::asked))
                .map(level -> Html.of("<li>%s <strong>%s</strong></li>", level.label(),
                        Catalogue.of(level).stream().filter(preferences::asked).count()))
                .toList();
        return counts.isEmpty() ? Html.of("Nothing") : Html.of("<ul class=\"tags\">%s</ul>", Html.join(counts));
    }

    private static Html pages(Frame frame, People.Page page, String text) {
        if (page.last() == 1) {
            return Html.NOTHING;
        }
        String address = frame.root() + "/people?q=" + URLEncoder.encode(text, StandardCharsets.UTF_8) + "&page=";
        return Html.of("<nav class=\"pages\" aria-label=\"Pages\">%s <span>Page %s of %s</span> %s</nav>",
                Html.when(page.number() > 1, "<a class=\"button\" rel=\"prev\" href=\"%s\">Previous</a>", address + (page.number() - 1)),
                page.number(), page.last(),
                Html.when(page.number() < page.last(), "<a class=\"button\" rel=\"next\" href=\"%s\">Next</a>", address + (page.number() + 1)));
    }
}
