package perenne.pnp.web;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.stream.Collectors;
import perenne.pnp.model.Catalogue;
import perenne.pnp.model.Level;
import perenne.pnp.model.Preference;
import perenne.pnp.model.Preference.Choice;
import perenne.pnp.model.Preference.Range;
import perenne.pnp.model.Preference.Toggle;
import perenne.pnp.model.Violation;

/** The pages of the editor: a step for each level, the review, and the question before a draft is discarded. */
final class DraftViews {

    /** Up to so many options are shown as radio buttons, more as a list. */
    private static final int MOST_RADIO_BUTTONS = 5;

    private DraftViews() {}

    /**
     * One level's form.
     *
     * @param value from a preference to what its field shows: the draft's value, or what was just sent
     * @param violations of what was just sent
     */
    static Html step(Frame frame, Draft draft, Draft.Step step, Function<Preference, String> value, List<Violation> violations) {
        Level level = step.level().orElseThrow();
        Map<String, String> errors = violations.stream().collect(Collectors.toMap(Violation::key, Violation::detail));
        return page(frame, draft, step, Html.of("""
                %s
                <p class="lead">%s</p>
                <form class="editor" action="%s/draft/%s" method="post" novalidate data-keep>
                %s
                <p class="quiet" data-kept role="status"></p>
                <div class="actions">
                <button class="primary" type="submit" name="action" value="next">%s</button>
                %s
                <a href="%s/draft/discard">Discard the draft</a>
                </div>
                </form>
                """,
                errorSummary(level, errors), level.purpose(), frame.root(), step.key(),
                Html.join(Catalogue.of(level).stream()
                        .map(preference -> field(preference, value.apply(preference), Optional.ofNullable(errors.get(preference.key()))))
                        .toList()),
                "Go on to " + step.next().label().toLowerCase(Locale.ROOT),
                Html.when(step != step.previous(), "<button type=\"submit\" name=\"action\" value=\"back\">Back</button>"),
                frame.root()));
    }

    /**
     * The last step.
     *
     * @param name what the name's field shows
     * @param conflict the version that somebody else has stored meanwhile
     */
    static Html review(Frame frame, Draft draft, String name, Optional<String> complaint, OptionalLong conflict) {
        return page(frame, draft, Draft.Step.REVIEW, Html.of("""
                %s
                <p class="lead">Nothing is stored until you save.</p>
                <form action="%s/draft/review" method="post">
                <div class="card narrow">%s</div>
                <div class="levels">
                %s
                </div>
                <div class="actions">
                %s
                <button type="submit" name="action" value="back" formnovalidate>Back</button>
                <a href="%s/draft/discard">Discard the draft</a>
                </div>
                </form>
                """,
                conflict(conflict), frame.root(), PeopleViews.nameField(name, complaint),
                Html.join(Arrays.stream(Level.values()).map(level -> section(frame, draft, level)).toList()),
                conflict.isPresent()
                        ? Html.of("<button class=\"primary\" type=\"submit\" name=\"action\" value=\"overwrite\">Save over version %s</button>",
                                conflict.getAsLong())
                        : Html.of("<button class=\"primary\" type=\"submit\" name=\"action\" value=\"save\">Save the preferences</button>"),
                frame.root()));
    }

    static Html discard(Frame frame, Draft draft) {
        return Layout.render(frame, "Discard the draft", Html.of("""
                <h1>Discard the draft for %s?</h1>
                <p class="lead">What you entered since %s will be gone. What was stored before stays.</p>
                <form class="actions" action="%s/draft/discard" method="post">
                <button class="danger" type="submit">Discard the draft</button> <a href="%s/draft/%s">Go on with it</a>
                </form>
                """,
                draft.name(), Layout.time(draft.startedAt()), frame.root(), frame.root(), draft.step().key()));
    }

    private static Html page(Frame frame, Draft draft, Draft.Step step, Html content) {
        String title = "%s, step %d of %d".formatted(step.label(), step.number(), Draft.Step.values().length);
        return Layout.render(frame, title + ", " + draft.name(), Html.of("""
                <p class="draft-state"><strong>Draft in progress</strong> for %s, started at %s, step %s of %s.</p>
                <ol class="steps" aria-label="Steps">
                %s
                </ol>
                <h1>%s</h1>
                %s
                """,
                draft.name(), Layout.time(draft.startedAt()), step.number(), Draft.Step.values().length,
                Html.join(Arrays.stream(Draft.Step.values()).map(each -> stepMark(each, step)).toList()),
                step.label(), content));
    }

    private static Html stepMark(Draft.Step each, Draft.Step current) {
        return Html.of("<li%s><span class=\"number\" aria-hidden=\"true\">%s</span> %s%s</li>",
                Html.when(each == current, " aria-current=\"step\""),
                each.ordinal() < current.ordinal() ? "✓" : each.number(),
                each.label(),
                Html.when(each.ordinal() < current.ordinal(), "<span class=\"hidden\"> (done)</span>"));
    }

    private static Html section(Frame frame, Draft draft, Level level) {
        return Html.of("""
                <section class="card" aria-labelledby="%s">
                <h2 id="%s">%s</h2>
                %s
                <p><a href="%s/draft/%s">Change<span class="hidden"> %s</span></a></p>
                </section>
                """,
                level.key(), level.key(), level.label(), PeopleViews.summary(level, draft.preferences()),
                frame.root(), level.key(), level.label());
    }

    private static Html conflict(OptionalLong version) {
        return version.isEmpty() ? Html.NOTHING : Html.of("""
                <div class="problem" role="alert"><h2>Somebody else has saved meanwhile</h2>
                <p>Version %s is stored now. Your draft is kept. Save it over that version, or discard it.</p></div>
                """, version.getAsLong());
    }

    private static Html errorSummary(Level level, Map<String, String> errors) {
        if (errors.isEmpty()) {
            return Html.NOTHING;
        }
        return Html.of("<div class=\"problem\" role=\"alert\"><h2>Please correct</h2><ul>%s</ul></div>",
                Html.join(Catalogue.of(level).stream().filter(preference -> errors.containsKey(preference.key()))
                        .map(preference -> Html.of("<li><a href=\"#%s\">%s</a> %s</li>",
                                preference.key(), preference.label(), errors.get(preference.key())))
                        .toList()));
    }

    private static Html field(Preference preference, String value, Optional<String> error) {
        if (preference instanceof Toggle toggle) {
            return checkbox(toggle, value, error);
        }
        if (preference instanceof Range range) {
            return number(range, value, error);
        }
        Choice choice = (Choice) preference;
        return choice.options().size() > MOST_RADIO_BUTTONS ? select(choice, value, error) : radioButtons(choice, value, error);
    }

    private static Html radioButtons(Choice choice, String value, Optional<String> error) {
        return Html.of("""
                <fieldset class="card field" id="%s" tabindex="-1"%s>
                <legend>%s</legend>
                %s
                <div class="options">
                %s
                </div>
                </fieldset>
                """,
                choice.key(), described(choice, error), choice.label(), notes(choice, error),
                Html.join(choice.options().stream().map(option -> Html.of(
                        "<label><input type=\"radio\" name=\"%s\" value=\"%s\"%s> <span>%s</span></label>",
                        choice.key(), option.value(), Html.when(option.value().equals(value), " checked"), option.label())).toList()));
    }

    private static Html select(Choice choice, String value, Optional<String> error) {
        return Html.of("""
                <div class="card field"><label for="%s">%s</label>
                %s
                <select id="%s" name="%s"%s>%s</select></div>
                """,
                choice.key(), choice.label(), notes(choice, error), choice.key(), choice.key(), described(choice, error),
                Html.join(choice.options().stream().map(option -> Html.of("<option value=\"%s\"%s>%s</option>",
                        option.value(), Html.when(option.value().equals(value), " selected"), option.label())).toList()));
    }

    private static Html number(Range range, String value, Optional<String> error) {
        return Html.of("""
                <div class="card field"><label for="%s">%s (%s)</label>
                %s
                <input id="%s" name="%s" type="number" inputmode="numeric" min="%s" max="%s" step="%s" value="%s"%s></div>
                """,
                range.key(), range.label(), range.unit(), notes(range, error),
                range.key(), range.key(), range.minimum(), range.maximum(), range.step(), value, described(range, error));
    }

    private static Html checkbox(Toggle toggle, String value, Optional<String> error) {
        return Html.of("""
                <div class="card field check"><label><input id="%s" name="%s" type="checkbox" value="true"%s%s> <span>%s</span></label>
                %s</div>
                """,
                toggle.key(), toggle.key(), Html.when("true".equals(value), " checked"), described(toggle, error), toggle.label(),
                notes(toggle, error));
    }

    private static Html notes(Preference preference, Optional<String> error) {
        return Html.of("%s%s",
                Html.when(!hint(preference).isEmpty(), "<p class=\"hint\" id=\"%s-hint\">%s</p>", preference.key(), hint(preference)),
                Html.when(error.isPresent(), "<p class=\"error\" id=\"%s-error\"><strong>Error:</strong> %s.</p>",
                        preference.key(), error.orElse("")));
    }

    private static Html described(Preference preference, Optional<String> error) {
        String notes = (hint(preference).isEmpty() ? "" : preference.key() + "-hint ")
                + (error.isPresent() ? preference.key() + "-error" : "");
        return Html.of("%s%s", Html.when(!notes.isEmpty(), " aria-describedby=\"%s\"", notes.strip()),
                Html.when(error.isPresent() && !(preference instanceof Choice), " aria-invalid=\"true\""));
    }

    private static String hint(Preference preference) {
        return preference instanceof Range range
                ? (range.hint() + " From %d to %d, in steps of %d.".formatted(range.minimum(), range.maximum(), range.step())).strip()
                : preference.hint();
    }
}
