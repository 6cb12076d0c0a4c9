package perenne.pnp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonReader;
import jakarta.json.JsonValue;
import java.io.StringReader;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PreferencesJsonTest {

    private static final Preferences SOME =
            Preferences.lenient(Map.of("textSize", "150", "captions", "true", "contrastTheme", "light-on-dark"));

    @Test
    void storedFormHoldsOnlyWishesInTheirTypes() {
        assertEquals(json("{'presentation':{'contrastTheme':'light-on-dark','textSize':150},'control':{},'content':{'captions':true}}"),
                PreferencesJson.sparse(SOME));
    }

    @Test
    void whatClientsReadTheyMaySendBack() {
        assertEquals(SOME, PreferencesJson.strict(PreferencesJson.complete(SOME)));
        assertEquals(SOME, PreferencesJson.stored(PreferencesJson.sparse(SOME)));
    }

    @Test
    void everyPreferenceIsInTheCompleteForm() {
        long members = PreferencesJson.complete(Preferences.NONE).values().stream().mapToInt(level -> level.asJsonObject().size()).sum();
        assertEquals(Catalogue.all().size(), members);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{'presentation':{'textSize':'150'}} | preferences.presentation.textSize",
        "{'presentation':{'textSize':150.5}} | preferences.presentation.textSize",
        "{'presentation':{'textSize':1e30}} | preferences.presentation.textSize",
        "{'presentation':{'reduceMotion':1}} | preferences.presentation.reduceMotion",
        "{'presentation':{'contrastTheme':null}} | preferences.presentation.contrastTheme",
        "{'control':{'captions':true}} | preferences.control.captions",
        "{'control':[]} | preferences.control",
        "{'taste':{}} | preferences.taste",
        "[] | preferences",
    })
    void mistakeNamesItsField(String sent, String field) {
        InvalidInput invalid = assertThrows(InvalidInput.class, () -> PreferencesJson.strict(json(sent)));
        assertEquals(List.of(field), invalid.violations().stream().map(Violation::field).toList());
    }

    @Test
    void pointerIsEscaped() {
        assertEquals("#/preferences/a~1b~0c", new Violation(List.of("preferences", "a/b~c"), "").pointer());
    }

    @Test
    void rowsOfOtherReleasesStayReadable() {
        JsonObject row = json("{'presentation':{'textSize':7,'gone':1},'content':{'captions':true}}").asJsonObject();
        assertEquals(Map.of("captions", "true"), PreferencesJson.stored(row).wishes());
    }

    private static JsonValue json(String text) {
        try (JsonReader reader = Json.createReader(new StringReader(text.replace('\'', '"')))) {
            return reader.readValue();
        }
    }
}
